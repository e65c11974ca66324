/** What is signed here travels through the API to the keeper, which pays the gas. */
import { getAddress, type Address, type Hex } from 'viem';
import { ApiError, get, post, type Schemas } from '../api/client';
import { rejectionWords } from '../units/rejections';
import { signTypedData, type ConnectedWallet } from '../wallet/wallet';
import { domainsOf, type Deployment } from './deployment';
import { readChainTime, type Funding } from './read';
import {
  fundedMandate,
  randomNonce,
  splitSignature,
  stopIntent,
  tokenPermit,
  updatedMandate,
  withdrawIntent,
  type Mandate,
} from './typed-data';

export type RelayStatus = Schemas['RelayStatus'];
type SignedMandate = Schemas['SignedMandate'];
type SignedIntent = Schemas['SignedIntent'];

/** A signature that nobody has used by then is worth nothing any more. */
const SIGNATURE_LIFE_S = 1800n;
const POLL_MS = 1000;

const deadlineFor = async (deployment: Deployment): Promise<bigint> => (await readChainTime(deployment)) + SIGNATURE_LIFE_S;

/** Numbers of a signed struct as the API takes them: the small ones as numbers, the large ones as decimal strings. */
export function mandateJson(mandate: Mandate): SignedMandate['mandate'] {
  return {
    follower: mandate.follower,
    strategy: mandate.strategy,
    mode: mandate.mode,
    ratioBps: mandate.ratioBps,
    fixedNotional: mandate.fixedNotional.toString(),
    hedgeBps: mandate.hedgeBps,
    maxLeverageBps: mandate.maxLeverageBps,
    maxSlippageBps: mandate.maxSlippageBps,
    maxPositionNotional: mandate.maxPositionNotional.toString(),
    maxDailyTurnover: mandate.maxDailyTurnover.toString(),
    stopLossBps: mandate.stopLossBps,
    takeProfitBps: mandate.takeProfitBps,
    allowedMarkets: [...mandate.allowedMarkets],
    deposit: mandate.deposit.toString(),
    expiry: mandate.expiry.toString(),
    nonce: mandate.nonce.toString(),
  };
}

/** Lets Permit2 take exactly `value`: nothing is left over for anyone to use. */
export async function signTokenPermit(
  deployment: Deployment,
  wallet: ConnectedWallet,
  funding: Funding,
  value: bigint,
): Promise<NonNullable<SignedMandate['tokenPermit']>> {
  const deadline = await deadlineFor(deployment);
  const signature = await signTypedData(
    wallet,
    tokenPermit(domainsOf(deployment), funding.token, { owner: getAddress(wallet.address), value, nonce: funding.permitNonce, deadline }),
  );
  const parts = splitSignature(signature);
  if (parts === undefined) {
    throw new Error('This wallet signs as a contract, which USDC permits do not take. Approve Permit2 for USDC in the wallet first.');
  }
  return { value: value.toString(), deadline: deadline.toString(), ...parts };
}

/** The one signature: funds the account and accepts the mandate; without a deposit it only changes the bounds. */
export async function signMandate(
  deployment: Deployment,
  wallet: ConnectedWallet,
  mandate: Mandate,
  permit: SignedMandate['tokenPermit'],
): Promise<SignedMandate> {
  const domains = domainsOf(deployment);
  if (mandate.deposit === 0n) {
    const signature = await signTypedData(wallet, updatedMandate(domains, mandate));
    return { mandate: mandateJson(mandate), permitNonce: '0', permitDeadline: '0', signature };
  }
  const permitNonce = randomNonce();
  const permitDeadline = await deadlineFor(deployment);
  const signature = await signTypedData(wallet, fundedMandate(domains, mandate, permitNonce, permitDeadline));
  return {
    mandate: mandateJson(mandate),
    permitNonce: permitNonce.toString(),
    permitDeadline: permitDeadline.toString(),
    signature,
    ...(permit ? { tokenPermit: permit } : {}),
  };
}

export async function signStop(deployment: Deployment, wallet: ConnectedWallet, vault: Address): Promise<SignedIntent> {
  const stop = { follower: getAddress(wallet.address), strategy: vault, nonce: randomNonce(), deadline: await deadlineFor(deployment) };
  const signature = await signTypedData(wallet, stopIntent(domainsOf(deployment), stop));
  return {
    intent: { kind: 'stop', ...stop, nonce: stop.nonce.toString(), deadline: stop.deadline.toString() },
    signature,
  };
}

export async function signWithdraw(
  deployment: Deployment,
  wallet: ConnectedWallet,
  vault: Address,
  amount: bigint,
): Promise<SignedIntent> {
  const withdraw = {
    follower: getAddress(wallet.address),
    strategy: vault,
    amount,
    nonce: randomNonce(),
    deadline: await deadlineFor(deployment),
  };
  const signature = await signTypedData(wallet, withdrawIntent(domainsOf(deployment), withdraw));
  return {
    intent: {
      kind: 'withdraw',
      ...withdraw,
      amount: amount.toString(),
      nonce: withdraw.nonce.toString(),
      deadline: withdraw.deadline.toString(),
    },
    signature,
  };
}

export const sendMandate = (body: SignedMandate): Promise<RelayStatus> => post('/api/v1/relay/mandate', { body });
export const sendIntent = (body: SignedIntent): Promise<RelayStatus> => post('/api/v1/relay/intent', { body });

export class RelayRejected extends Error {
  override readonly name = 'RelayRejected';
}

/** What the keeper would not take in, in this page's words; everything else as it is. */
function inWords(error: unknown): unknown {
  const first = error instanceof ApiError && error.problem?.code === 'relay-refused' ? error.problem.errors?.[0] : undefined;
  if (first === undefined) return error;
  const { why, next } = rejectionWords(first.code, first.detail);
  return new RelayRejected(`${why} ${next}`);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}

export interface Included {
  readonly transaction: Hex;
  readonly block: number;
}

/**
 * Sends, and follows until it is in a block or refused. An outcome nobody knows is asked for again, never taken for a
 * failure: sending the same signature twice gives the same id and moves nothing twice.
 */
export async function relay(
  send: () => Promise<RelayStatus>,
  told: (status: RelayStatus) => void,
  signal: AbortSignal,
): Promise<Included> {
  let status = await send().catch((error: unknown) => {
    throw inWords(error);
  });
  let failures = 0;
  for (;;) {
    told(status);
    if (status.state === 'included') return { transaction: status.transaction as Hex, block: status.block };
    if (status.state === 'rejected') {
      const { why, next } = rejectionWords(status.code, status.detail);
      throw new RelayRejected(`${why} ${next}`);
    }
    await pause(POLL_MS, signal);
    try {
      // The keeper may have lost it before it was written down; the same signature again does no harm.
      status = status.state === 'unknown' ? await send() : await get('/api/v1/relay/{id}', { path: { id: status.id }, signal });
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const lasting = error instanceof ApiError && error.status >= 400 && error.status < 500 && ![404, 408, 429].includes(error.status);
      if (lasting || failures > 60) throw inWords(error);
      await pause(Math.min(POLL_MS * failures, 5000), signal);
    }
  }
}

/** Waits until `check` gives something. */
export async function until<T>(check: () => Promise<T | undefined>, signal: AbortSignal, everyMs = POLL_MS): Promise<T> {
  for (;;) {
    let value: T | undefined;
    try {
      value = await check();
    } catch {
      signal.throwIfAborted();
    }
    if (value !== undefined) return value;
    await pause(everyMs, signal);
  }
}
