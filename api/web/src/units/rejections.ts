/** Why a request to the relay was refused, by the code of the keeper or of the contract's error, and what helps. */

export interface Rejection {
  /** Two or three words for a table. */
  readonly short: string;
  /** What happened. Nothing was moved in any of these. */
  readonly why: string;
  /** What the person can do about it. */
  readonly next: string;
}

const AGAIN = 'Sign it again.';
const SERVICE = 'This is nothing you did. Try again later; your account can always be left with “Exit without Lockstep”.';

export const REJECTIONS: Readonly<Record<string, Rejection>> = {
  // From the keeper's own checks (`keeper/src/relay/validate.rs`).
  'mandate-expired': { short: 'Bounds expired', why: 'The date until which the bounds were to hold had already passed.', next: 'Sign new bounds with a later date.' },
  'permit-expired': { short: 'Signature expired', why: 'The signature that moves the deposit was too old when it reached the chain.', next: AGAIN },
  'deadline-passed': { short: 'Signature expired', why: 'The signature was too old when it reached the chain. It is good for half an hour.', next: AGAIN },
  'unknown-strategy': { short: 'Unknown strategy', why: 'No strategy of this deployment has this vault.', next: 'Open the strategy from the list of masters and sign there.' },
  'no-account': { short: 'No account', why: 'You have no account in this strategy.', next: 'Follow the strategy first.' },
  'nonce-spent': { short: 'Already used', why: 'This very signature was carried out or cancelled before.', next: 'Look at your account: most likely it is done. If not, sign again.' },
  'signature-invalid': {
    short: 'Signature not valid',
    why: 'The signature is not this address’s for this chain and these contracts. With a contract wallet (ERC-1271) it may miss an owner’s approval.',
    next: 'Check the network and the account in the wallet, have every owner approve, and sign again.',
  },
  'insufficient-balance': { short: 'Too little USDC', why: 'Your wallet held less USDC than the deposit.', next: 'Add USDC, or sign a smaller deposit.' },
  'insufficient-allowance': { short: 'Permit2 not allowed', why: 'Permit2 may not take the deposit from your wallet.', next: 'Approve Permit2 for USDC, or sign the token permit when asked, and sign again.' },
  'amount-zero': { short: 'Nothing to pay', why: 'The amount was zero, or nothing was free at that moment.', next: 'Stop first and let the positions close, or exit on your own.' },
  'mandate-out-of-range': { short: 'Bounds out of range', why: 'One of the bounds is outside of what the strategy or the contract takes.', next: 'Change the bounds and sign again.' },
  'unsupported-mode': { short: 'Mode not offered', why: 'This way of copying is not offered.', next: 'Choose pro-rata or a fixed size, and sign again.' },
  // From the contracts, by the name of the error.
  'permit-nonce-spent': { short: 'Already used', why: 'The signature for the deposit was used or cancelled before.', next: 'Look at your account: most likely it is done. If not, sign again.' },
  'bad-signature': { short: 'Signature not valid', why: 'The contract does not take the signature for this address.', next: 'Check the network and the account in the wallet, and sign again.' },
  'unsupported-proof': { short: 'Not possible', why: 'The contract does not take this kind of proof.', next: SERVICE },
  'wrong-strategy': { short: 'Wrong strategy', why: 'The signature names another strategy.', next: 'Open the strategy from the list of masters and sign there.' },
  'market-not-listed': { short: 'Market not listed', why: 'The bounds name a market that the strategy does not trade.', next: 'Choose from the strategy’s markets and sign again.' },
  'positions-still-open': { short: 'Positions open', why: 'The account still has open positions.', next: 'Stop, wait until they are closed, and try again.' },
  'insufficient-free-margin': { short: 'Not enough free', why: 'The margin behind open positions is not free, and prices had moved by the time the request reached the chain.', next: 'Withdraw less, or “all that is free”.' },
  'strategy-wound-up': { short: 'Strategy wound up', why: 'The strategy’s losses have used up its money; it takes no new deposits.', next: 'Withdraw what is left, and follow another master.' },
  'too-many-accounts': { short: 'Vault full', why: 'This vault can hold no more accounts.', next: 'Follow another vault of the strategy, or another master.' },
  'unknown-account': { short: 'No account', why: 'The vault has no such account.', next: 'Follow the strategy first.' },
  'stale-price': { short: 'Price too old', why: 'The venue’s price had not been updated for too long, so nothing was valued by it.', next: 'Try again in a few minutes.' },
  'price-out-of-range': { short: 'Price not believable', why: 'The venue’s price was outside of what the contract believes.', next: 'Try again in a few minutes.' },
  'sequencer-down': { short: 'Network recovering', why: 'The network’s sequencer was down or has just come back; the contract waits until prices are sound.', next: 'Try again in an hour.' },
  'market-not-open': { short: 'Market closed', why: 'The venue has paused or closed the market.', next: 'Wait until it opens again.' },
  'slippage-beyond-limit': { short: 'Price too bad', why: 'The venue would have filled worse than the strategy allows.', next: 'Try again when the market is calmer.' },
  reverted: { short: 'Refused by the chain', why: 'The transaction was included and refused as a whole.', next: AGAIN },
};

/** A code that this page does not know is shown as it is, with the service's own sentence. */
export function rejectionWords(code: string, detail: string): Rejection {
  return REJECTIONS[code] ?? { short: capital(code.replaceAll('-', ' ')), why: sentence(detail), next: `${AGAIN} If it happens again, give whoever runs this service the code “${code}”.` };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sentence(text: string): string {
  const start = capital(text);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
