/** What the contracts' codes mean to the person whose money it is. */

export interface Words {
  /** Two or three words for a table. */
  readonly short: string;
  /** One or two sentences: what happened, and what to do about it if anything. */
  readonly long: string;
  /** `moved`: the position changed. `settled`: it was where it should be. `held`: something kept it back. */
  readonly kind: 'moved' | 'settled' | 'held';
}

/** `Outcome` of `LockstepTypes.sol`, by the API's names. */
export const OUTCOMES = {
  moved: { kind: 'moved', short: 'Moved', long: 'Reached its target at the price everyone in the batch got.' },
  capped: {
    kind: 'moved',
    short: 'Moved, capped',
    long: 'Moved, but one of your signed bounds (leverage, position or turnover) kept it short of the signal.',
  },
  'at-target': {
    kind: 'settled',
    short: 'In step',
    long: 'Already within the strategy’s dead band of its target: there was nothing worth trading.',
  },
  'already-applied': {
    kind: 'settled',
    short: 'Already applied',
    long: 'This very signal had already moved the account. Sent twice, it changes nothing.',
  },
  dust: {
    kind: 'held',
    short: 'Too small',
    long: 'The order would be below the strategy’s smallest trade. It is made up as soon as the difference is large enough.',
  },
  expired: {
    kind: 'held',
    short: 'Mandate expired',
    long: 'Your mandate has run out, so positions are only reduced. Sign new bounds to go on.',
  },
  'market-not-allowed': {
    kind: 'held',
    short: 'Market not allowed',
    long: 'Your mandate does not list this market.',
  },
  'under-margined': {
    kind: 'held',
    short: 'Too little equity',
    long: 'The account’s equity does not carry any exposure. A deposit puts it back in step.',
  },
  'slippage-bound': {
    kind: 'held',
    short: 'Slippage bound',
    long: 'The fill would have been worse than the slippage you signed, so the account was left out. The next batch tries again.',
  },
  'turnover-bound': {
    kind: 'held',
    short: 'Turnover bound',
    long: 'The turnover you signed for the day is used up. It starts again at 00:00 UTC.',
  },
  'notional-bound': {
    kind: 'held',
    short: 'Position bound',
    long: 'The position is already as large as your signed limit for one market allows.',
  },
  'leverage-bound': {
    kind: 'held',
    short: 'Leverage bound',
    long: 'The account is already at the leverage you signed.',
  },
  'reduce-only': {
    kind: 'held',
    short: 'Reducing only',
    long: 'Nothing may grow now: the breaker is on, the strategy is at capacity, or new terms are in their notice period. Reducing and leaving always work.',
  },
  inactive: { kind: 'held', short: 'Not active', long: 'The account is stopped or empty, so there was nothing to do.' },
  'size-overflow': {
    kind: 'held',
    short: 'Does not fit',
    long: 'The position would be larger than the contract’s ledger can hold.',
  },
} as const satisfies Record<string, Words>;

export type OutcomeName = keyof typeof OUTCOMES;

/** By code, in the order of the Solidity enum. */
export const OUTCOME_NAMES = Object.keys(OUTCOMES) as readonly OutcomeName[];

export function outcomeWords(name: string): Words {
  return (
    (OUTCOMES as Readonly<Record<string, Words>>)[name] ?? {
      kind: 'held',
      short: name,
      long: `This page does not know the outcome “${name}”; it is older than the contracts.`,
    }
  );
}

/** `Cause` of `LockstepTypes.sol`: fills outside a batch. */
export const CAUSES: Readonly<Record<string, Words>> = {
  exit: { kind: 'moved', short: 'Your exit', long: 'Closed by your own exit, straight at the venue.' },
  'stop-loss': { kind: 'moved', short: 'Stop-loss', long: 'Your signed stop-loss was reached and the position was closed.' },
  'take-profit': {
    kind: 'moved',
    short: 'Take-profit',
    long: 'Your signed take-profit was reached and the position was closed.',
  },
  liquidation: {
    kind: 'moved',
    short: 'Liquidation',
    long: 'Equity fell below the maintenance margin and the position was closed by force.',
  },
};

/** `Status` of `LockstepTypes.sol`. */
export const STATUSES: Readonly<Record<string, Words>> = {
  none: { kind: 'held', short: 'None', long: 'There is no account.' },
  active: { kind: 'moved', short: 'Following', long: 'Follows every signal inside your bounds.' },
  stopped: {
    kind: 'held',
    short: 'Stopped',
    long: 'You stopped it. The next batches close what is open; nothing is ever opened.',
  },
  'stopped-out': {
    kind: 'held',
    short: 'Stopped out',
    long: 'Your stop-loss or take-profit was reached. Everything was closed and nothing is opened.',
  },
  liquidated: {
    kind: 'held',
    short: 'Liquidated',
    long: 'Equity fell below the maintenance margin and everything was closed.',
  },
};

/** `Proof` of `LockstepTypes.sol`. */
export const PROOFS: Readonly<Record<string, Words>> = {
  venue: {
    kind: 'moved',
    short: 'Read from the venue',
    long: 'The contract itself read the master’s position on the venue. Nobody had to be trusted for this signal.',
  },
  master: { kind: 'moved', short: 'Signed by the master', long: 'Signed with the master’s registered signal key.' },
  keeper: {
    kind: 'moved',
    short: 'Attested by a keeper',
    long: 'A registered keeper reported it from an exchange the chain cannot see. Your signed slippage and turnover bound what a false report could cost.',
  },
};
