/** From what a person typed to a mandate, with everything that is wrong said beside the field it is wrong in. */
import type { Address } from 'viem';
import type { Schemas } from '../api/client';
import { USDC, divide, fromApi, parseTyped, pow10, toDecimal, usdc } from '../units/amount';
import { MODE, type Mandate } from './typed-data';

type Terms = Schemas['Terms'];
type Bounds = Schemas['MandateBounds'];

/** Texts of the fields, as typed. Percentages and multiples as people write them. */
export interface Draft {
  readonly deposit: string;
  readonly mode: 'pro-rata' | 'fixed';
  readonly ratio: string;
  readonly fixedNotional: string;
  readonly maxLeverage: string;
  readonly maxSlippage: string;
  readonly maxPosition: string;
  readonly maxTurnover: string;
  readonly stopLoss: string;
  readonly takeProfit: string;
  readonly markets: readonly string[];
  readonly days: string;
}

export type FieldName = keyof Draft;
export type Problems = Partial<Record<FieldName, string>>;

export interface Context {
  readonly terms: Terms;
  /** Symbols as the strategy lists them. */
  readonly markets: readonly string[];
  /** USDC 1e6 in the wallet; `undefined` when it could not be read. */
  readonly balance: bigint | undefined;
  /** USDC 1e6 already in the account; `undefined` for a newcomer. */
  readonly equity: bigint | undefined;
}

/** Smallest first deposit the vault takes: 10 USDC. */
export const MIN_DEPOSIT = 10n * 10n ** 6n;
/** Amounts above this do not fit the vault's packed fields of whole USDC. */
const MAX_WHOLE = (2n ** 32n - 1n) * 10n ** 6n;

export interface Numbers {
  readonly deposit: bigint;
  readonly ratioBps: number;
  readonly fixedNotional: bigint;
  readonly maxLeverageBps: number;
  readonly maxSlippageBps: number;
  readonly maxPositionNotional: bigint;
  readonly maxDailyTurnover: bigint;
  readonly stopLossBps: number;
  readonly takeProfitBps: number;
  readonly days: number;
}

export interface Checked {
  readonly problems: Problems;
  /** Set when nothing is wrong. */
  readonly numbers: Numbers | undefined;
  readonly preview: Preview | undefined;
}

/** What the bounds come to, in money. */
export interface Preview {
  /** Slippage × turnover: what bad fills alone could cost in one day, whoever sent them. */
  readonly worstFillLoss: bigint;
  /** Copy fee × turnover. */
  readonly mostFees: bigint;
  /** Gross exposure that leverage, position limits and turnover allow together. */
  readonly largestExposure: bigint;
  /** The same without the turnover bound. */
  readonly wantedExposure: bigint;
  /** Equity the account is stopped out at; `undefined` without a stop-loss. */
  readonly stopAt: bigint | undefined;
}

const PERCENT_SCALE = 2; // 0.01 % = 1 bps
const MULTIPLE_SCALE = 4; // 0.0001x = 1 bps

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** Whole USDC, rounded down, as the vault stores notional bounds. */
function whole(value: bigint): bigint {
  return value - (value % pow10(USDC));
}

export function checkDraft(draft: Draft, context: Context): Checked {
  const problems: Problems = {};
  const { terms } = context;

  function number(field: FieldName, scale: number, low: bigint, high: bigint, words: string): bigint | undefined {
    const typed = parseTyped(draft[field] as string, scale);
    if (!typed.ok) {
      problems[field] = typed.why;
      return undefined;
    }
    if (typed.value < low || typed.value > high) {
      problems[field] = words;
      return undefined;
    }
    return typed.value;
  }

  const isNew = context.equity === undefined;
  const deposit = number('deposit', USDC, isNew ? MIN_DEPOSIT : 0n, 2n ** 64n - 1n, `A first deposit is at least ${usdc(MIN_DEPOSIT)} USDC.`);
  if (deposit !== undefined && context.balance !== undefined && deposit > context.balance) {
    problems.deposit = `Your wallet holds ${usdc(context.balance, { rounding: 'down' })} USDC.`;
  }

  const proRata = draft.mode === 'pro-rata';
  const ratio = proRata ? number('ratio', MULTIPLE_SCALE, 1n, 100_000n, 'Between 0.0001 and 10.') : 0n;
  const fixed = proRata ? 0n : number('fixedNotional', USDC, pow10(USDC), MAX_WHOLE, 'At least 1 USDC.');

  const cap = BigInt(terms.maxLeverageBps);
  const leverage = number('maxLeverage', MULTIPLE_SCALE, 100n, cap, `Between 0.01 and this strategy’s limit of ${toPlain(cap, MULTIPLE_SCALE)}.`);
  const slippage = number('maxSlippage', PERCENT_SCALE, 1n, 10_000n, 'Between 0.01 and 100 %.');
  const position = number('maxPosition', USDC, pow10(USDC), MAX_WHOLE, 'At least 1 USDC.');
  const turnover = number('maxTurnover', USDC, pow10(USDC), MAX_WHOLE, 'At least 1 USDC.');
  const stopLoss = draft.stopLoss.trim() === '' ? 0n : number('stopLoss', PERCENT_SCALE, 1n, 9_999n, 'Between 0.01 and 99.99 %, or empty for none.');
  const takeProfit =
    draft.takeProfit.trim() === '' ? 0n : number('takeProfit', PERCENT_SCALE, 1n, 2n ** 32n - 1n, 'Above 0 %, or empty for none.');
  const days = number('days', 0, 1n, 3650n, 'Between 1 and 3,650 days.');

  if (draft.markets.length === 0) problems.markets = 'Allow at least one market.';
  const minTrade = fromApi(terms.minTradeNotional, USDC);
  if (position !== undefined && position < minTrade) {
    problems.maxPosition = `Below this strategy’s smallest trade of ${usdc(minTrade)} USDC nothing would ever be copied.`;
  }
  if (turnover !== undefined && turnover < 2n * minTrade) {
    problems.maxTurnover = `Below twice the smallest trade (${usdc(2n * minTrade)} USDC) nothing could be opened, because room to close is kept free.`;
  }

  if (
    deposit === undefined || ratio === undefined || fixed === undefined || leverage === undefined || slippage === undefined ||
    position === undefined || turnover === undefined || stopLoss === undefined || takeProfit === undefined || days === undefined
  ) {
    return { problems, numbers: undefined, preview: undefined };
  }

  const equity = (context.equity ?? 0n) + deposit;
  const byLeverage = divide(equity * leverage, pow10(MULTIPLE_SCALE), 'down');
  const byPosition = whole(position) * BigInt(Math.max(1, draft.markets.length));
  const wantedExposure = least(byLeverage, byPosition);
  // An account only grows while what it trades and what stays open fit the day's turnover: opening needs twice its size.
  const largestExposure = least(wantedExposure, whole(turnover) / 2n);
  const preview: Preview = {
    worstFillLoss: divide(whole(turnover) * slippage, pow10(4), 'up'),
    mostFees: divide(whole(turnover) * BigInt(terms.copyFeeBps), pow10(4), 'up'),
    largestExposure,
    wantedExposure,
    stopAt: stopLoss === 0n ? undefined : divide(equity * (10_000n - stopLoss), pow10(4), 'down'),
  };
  const numbers: Numbers = {
    deposit,
    ratioBps: Number(ratio),
    fixedNotional: fixed,
    maxLeverageBps: Number(leverage),
    maxSlippageBps: Number(slippage),
    maxPositionNotional: position,
    maxDailyTurnover: turnover,
    stopLossBps: Number(stopLoss),
    takeProfitBps: Number(takeProfit),
    days: Number(days),
  };
  return { problems, numbers: Object.keys(problems).length === 0 ? numbers : undefined, preview };
}

/** Without zeros at the end: what a person would type. */
function toPlain(value: bigint, scale: number): string {
  return toDecimal(value, scale).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}

function ceilWhole(value: bigint): bigint {
  return divide(value, pow10(USDC), 'up') * pow10(USDC);
}

/** Bounds that follow from the deposit: kept in step with it until the person types their own. */
export function boundsFor(equity: bigint, leverage: string): Pick<Draft, 'maxPosition' | 'maxTurnover'> {
  const multiple = parseTyped(leverage, MULTIPLE_SCALE);
  const position = ceilWhole(divide(equity * (multiple.ok ? multiple.value : 0n), pow10(MULTIPLE_SCALE), 'up'));
  // Twice to open and close once, and as much again to follow a change of mind the same day.
  return { maxPosition: toPlain(position, USDC), maxTurnover: toPlain(position * 4n, USDC) };
}

/** Where a newcomer starts: the master's own leverage, within twice the equity, and a stop-loss. */
export function newDraft(context: Pick<Context, 'terms' | 'markets'>, deposit: string): Draft {
  const cap = Math.min(context.terms.maxLeverageBps, 20_000);
  const maxLeverage = toPlain(BigInt(cap), MULTIPLE_SCALE);
  const typed = parseTyped(deposit, USDC);
  return {
    deposit,
    mode: 'pro-rata',
    ratio: '1',
    fixedNotional: '',
    maxLeverage,
    maxSlippage: toPlain(BigInt(Math.min(context.terms.maxSlippageBps, 50)), PERCENT_SCALE),
    ...boundsFor(typed.ok ? typed.value : 0n, maxLeverage),
    stopLoss: '25',
    takeProfit: '',
    markets: context.markets,
    days: '90',
  };
}

/** The bounds in force, as they would have been typed. */
export function draftOf(bounds: Bounds, now: number): Draft {
  const usdcText = (text: string): string => toPlain(fromApi(text, USDC), USDC);
  const percentText = (bps: number): string => (bps === 0 ? '' : toPlain(BigInt(bps), PERCENT_SCALE));
  const left = Math.ceil((Date.parse(bounds.expiresAt) - now) / 86_400_000);
  return {
    deposit: '0',
    mode: bounds.mode === 'fixed' ? 'fixed' : 'pro-rata',
    ratio: bounds.ratioBps === 0 ? '1' : toPlain(BigInt(bounds.ratioBps), MULTIPLE_SCALE),
    fixedNotional: bounds.mode === 'fixed' ? usdcText(bounds.fixedNotional) : '',
    maxLeverage: toPlain(BigInt(bounds.maxLeverageBps), MULTIPLE_SCALE),
    maxSlippage: toPlain(BigInt(bounds.maxSlippageBps), PERCENT_SCALE),
    maxPosition: usdcText(bounds.maxPositionNotional),
    maxTurnover: usdcText(bounds.maxDailyTurnover),
    stopLoss: percentText(bounds.stopLossBps),
    takeProfit: percentText(bounds.takeProfitBps),
    markets: bounds.allowedMarkets,
    days: String(left > 0 ? left : 90),
  };
}

export function toMandate(
  draft: Draft,
  numbers: Numbers,
  who: { readonly follower: Address; readonly vault: Address; readonly nonce: bigint; readonly nowSeconds: bigint },
): Mandate {
  return {
    follower: who.follower,
    strategy: who.vault,
    mode: draft.mode === 'fixed' ? MODE.fixed : MODE.proRata,
    ratioBps: numbers.ratioBps,
    fixedNotional: numbers.fixedNotional,
    hedgeBps: 0,
    maxLeverageBps: numbers.maxLeverageBps,
    maxSlippageBps: numbers.maxSlippageBps,
    maxPositionNotional: numbers.maxPositionNotional,
    maxDailyTurnover: numbers.maxDailyTurnover,
    stopLossBps: numbers.stopLossBps,
    takeProfitBps: numbers.takeProfitBps,
    allowedMarkets: draft.markets,
    deposit: numbers.deposit,
    expiry: who.nowSeconds + BigInt(numbers.days) * 86_400n,
    nonce: who.nonce,
  };
}
