/**
 * Exact amounts. Everything that is money, a size, a price or a ratio travels as a decimal string and is counted here as
 * an integer of its smallest unit; `number` is only ever used for pixels.
 */

/** Decimals of each unit, as on chain. */
export const USDC = 6;
export const SIZE = 18;
export const WAD = 18;
/** 10,000 bps = 1. */
export const BPS = 4;

export type Rounding = 'nearest' | 'down' | 'up';

export interface Format {
  /** Decimals shown. */
  readonly digits: number;
  /** Write `+` before what is above zero. */
  readonly sign?: boolean;
  /** Halves away from zero, or always towards (`down`) or away from (`up`) zero. */
  readonly rounding?: Rounding;
  /** Leave out zeros at the end of the fraction. */
  readonly trim?: boolean;
  /** When the value is not zero but all shown digits would be, show as many more as it takes. */
  readonly neverZero?: boolean;
}

const PLAIN = /^-?\d+(\.\d+)?$/;

export function pow10(exponent: number): bigint {
  return 10n ** BigInt(exponent);
}

export function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** Reads a plain decimal. `undefined` when it is not one or has more decimals than the unit holds. */
export function parseDecimal(text: string, scale: number): bigint | undefined {
  if (!PLAIN.test(text)) return undefined;
  const negative = text.startsWith('-');
  const [whole = '', fraction = ''] = (negative ? text.slice(1) : text).split('.');
  if (fraction.length > scale) return undefined;
  const magnitude = BigInt(whole + fraction.padEnd(scale, '0'));
  return negative ? -magnitude : magnitude;
}

/** Reads a decimal that the API sent. It is a defect of the API when it cannot be read, so this throws. */
export function fromApi(text: string, scale: number): bigint {
  const value = parseDecimal(text, scale);
  if (value === undefined) throw new TypeError(`"${text}" is not a decimal with at most ${scale} decimals`);
  return value;
}

export type TypedAmount = { readonly ok: true; readonly value: bigint } | { readonly ok: false; readonly why: string };

/** Reads what a person typed: spaces and grouping commas are allowed, signs and exponents are not. */
export function parseTyped(text: string, scale: number): TypedAmount {
  const compact = text.replace(/[\s\u00a0\u202f]/g, '');
  if (compact === '') return { ok: false, why: 'Enter a number.' };
  if (compact.includes(',') && !/^\d{1,3}(,\d{3})+(\.\d*)?$/.test(compact)) {
    return { ok: false, why: 'Use a point for decimals, and commas only between thousands.' };
  }
  const plain = compact.replaceAll(',', '').replace(/\.$/, '').replace(/^\./, '0.');
  if (!/^\d+(\.\d+)?$/.test(plain)) return { ok: false, why: 'Use digits and one decimal point only.' };
  const value = parseDecimal(plain, scale);
  if (value === undefined) {
    return { ok: false, why: scale === 0 ? 'Use a whole number.' : `Use at most ${scale} decimals.` };
  }
  return { ok: true, value };
}

/** Divides and rounds; `divisor` is above zero. */
export function divide(value: bigint, divisor: bigint, rounding: Rounding = 'nearest'): bigint {
  const magnitude = abs(value);
  let quotient = magnitude / divisor;
  const rest = magnitude % divisor;
  if (rest !== 0n && (rounding === 'up' || (rounding === 'nearest' && rest * 2n >= divisor))) quotient += 1n;
  return value < 0n ? -quotient : quotient;
}

/** All decimals of the unit, no grouping: what the API and the chain's own tools print. */
export function toDecimal(value: bigint, scale: number): string {
  const digits = abs(value)
    .toString()
    .padStart(scale + 1, '0');
  const sign = value < 0n ? '-' : '';
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function group(whole: string): string {
  return whole.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** For people: grouped, rounded, with a real minus sign. */
export function format(value: bigint, scale: number, options: Format): string {
  let digits = Math.min(options.digits, scale);
  let rounded = divide(value, pow10(scale - digits), options.rounding);
  if (options.neverZero) {
    while (rounded === 0n && value !== 0n && digits < scale) {
      digits += 1;
      rounded = divide(value, pow10(scale - digits), options.rounding);
    }
  }
  const sign = rounded < 0n ? '\u2212' : options.sign && rounded > 0n ? '+' : '';
  const padded = abs(rounded)
    .toString()
    .padStart(digits + 1, '0');
  const whole = group(digits === 0 ? padded : padded.slice(0, -digits));
  let fraction = digits === 0 ? '' : padded.slice(-digits);
  if (options.trim) fraction = fraction.replace(/0+$/, '');
  return sign + whole + (fraction === '' ? '' : `.${fraction}`);
}

/** `1,234.50` */
export function usdc(value: bigint, options: Partial<Format> = {}): string {
  return format(value, USDC, { digits: 2, neverZero: true, ...options });
}

/** `12.34 %` of a 1e18 ratio, without the sign `%`. */
export function percent(ratio: bigint, options: Partial<Format> = {}): string {
  return format(ratio * 100n, WAD, { digits: 2, ...options });
}

/** A base size: four decimals, or four significant digits below one. */
export function size(value: bigint, options: Partial<Format> = {}): string {
  return format(value, SIZE, { digits: significantDecimals(value, 4), ...options });
}

/** A price in USDC per base unit: two decimals from 100 on, more below. */
export function price(value: bigint, options: Partial<Format> = {}): string {
  const magnitude = abs(value);
  const digits = magnitude >= pow10(WAD + 2) ? 2 : magnitude >= pow10(WAD) ? 4 : significantDecimals(value, 4);
  return format(value, WAD, { digits, ...options });
}

/** bps as percent: `0.5`, `30`. */
export function bpsPercent(bps: number | bigint): string {
  return format(BigInt(bps), 2, { digits: 2, trim: true });
}

/** bps as a multiple: 15,000 is `1.5`. */
export function bpsMultiple(bps: number | bigint): string {
  return format(BigInt(bps), BPS, { digits: 4, trim: true });
}

/** How many decimals show `wanted` significant digits of a value below one, and `wanted` decimals otherwise. */
function significantDecimals(value: bigint, wanted: number): number {
  if (value === 0n) return wanted;
  const length = abs(value).toString().length;
  return length > WAD ? wanted : Math.min(WAD, WAD - length + wanted);
}

/** For charts only. The result is a pixel's worth of a number and must not be shown or sent. */
export function toPixels(value: bigint, scale: number): number {
  const divisor = pow10(scale);
  return Number(value / divisor) + Number(value % divisor) / Number(divisor);
}
