import { describe, expect, test } from 'vitest';
import { USDC, WAD, bpsMultiple, bpsPercent, divide, format, fromApi, parseDecimal, parseTyped, percent, price, size, toDecimal, toPixels, usdc } from '../src/units/amount';

const MINUS = '\u2212';

describe('reading', () => {
  test('takes the API’s decimals exactly', () => {
    expect(parseDecimal('1.500000', USDC)).toBe(1_500_000n);
    expect(parseDecimal('-0.000001', USDC)).toBe(-1n);
    expect(parseDecimal('91204.500000000000000001', WAD)).toBe(91_204_500_000_000_000_000_001n);
    expect(parseDecimal('7', USDC)).toBe(7_000_000n);
  });

  test('refuses what it would have to round or guess', () => {
    for (const text of ['', '.', '1.', '.5', '-', '1e3', '0x1', '+1', ' 1', '1_0', '1,000', 'NaN', '1.0000001']) {
      expect(parseDecimal(text, USDC), text).toBeUndefined();
    }
    expect(() => fromApi('1.0000001', USDC)).toThrow('at most 6 decimals');
  });

  test('takes what people type, and says what is wrong', () => {
    expect(parseTyped(' 1,234.5 ', USDC)).toEqual({ ok: true, value: 1_234_500_000n });
    expect(parseTyped('1 234.50', USDC)).toEqual({ ok: true, value: 1_234_500_000n });
    expect(parseTyped('.5', USDC)).toEqual({ ok: true, value: 500_000n });
    expect(parseTyped('5.', USDC)).toEqual({ ok: true, value: 5_000_000n });
    // A decimal comma must never become a factor of a thousand.
    expect(parseTyped('0,5', USDC).ok).toBe(false);
    expect(parseTyped('1,5', USDC).ok).toBe(false);
    expect(parseTyped('12,34', USDC).ok).toBe(false);
    for (const text of ['', '-1', '1e3', '1.2.3', 'abc', '0x10', '1.0000001']) expect(parseTyped(text, USDC).ok, text).toBe(false);
    expect(parseTyped('1.5', 0)).toEqual({ ok: false, why: 'Use a whole number.' });
  });

  test('text round-trips', () => {
    for (const value of [0n, 1n, -1n, 999_999n, 1_000_000n, -123_456_789_012_345_678_901n]) {
      expect(parseDecimal(toDecimal(value, USDC), USDC)).toBe(value);
      expect(parseDecimal(toDecimal(value, WAD), WAD)).toBe(value);
    }
  });
});

describe('rounding', () => {
  test('halves go away from zero', () => {
    expect(divide(15n, 10n)).toBe(2n);
    expect(divide(-15n, 10n)).toBe(-2n);
    expect(divide(14n, 10n)).toBe(1n);
  });
  test('bounds can be shown on the safe side', () => {
    expect(divide(11n, 10n, 'up')).toBe(2n);
    expect(divide(19n, 10n, 'down')).toBe(1n);
    expect(divide(-11n, 10n, 'up')).toBe(-2n);
    expect(divide(20n, 10n, 'up')).toBe(2n);
  });
});

describe('showing', () => {
  test('groups thousands and keeps all digits of large amounts', () => {
    expect(usdc(1_234_567_890_123_456n)).toBe('1,234,567,890.12');
    expect(usdc(fromApi('9007199254740993.000001', USDC), { digits: 6 })).toBe('9,007,199,254,740,993.000001');
  });
  test('uses a real minus, and no sign for nothing', () => {
    expect(usdc(-1_500_000n)).toBe(`${MINUS}1.50`);
    expect(usdc(1_500_000n, { sign: true })).toBe('+1.50');
    expect(usdc(0n, { sign: true })).toBe('0.00');
    expect(format(-4n, 2, { digits: 1 })).toBe('0.0');
  });
  test('never shows zero for what is not', () => {
    expect(usdc(1n)).toBe('0.000001');
    expect(usdc(3_000n)).toBe('0.003');
    expect(usdc(-3_000n)).toBe(`${MINUS}0.003`);
  });
  test('percent, multiples, sizes and prices', () => {
    expect(percent(347_512_345_678_901_234n, { sign: true })).toBe('+34.75');
    expect(percent(-83_200_000_000_000_000n)).toBe(`${MINUS}8.32`);
    expect(bpsPercent(5)).toBe('0.05');
    expect(bpsPercent(1500)).toBe('15');
    expect(bpsMultiple(15_000)).toBe('1.5');
    expect(size(1_538_200_000_000_000_000n)).toBe('1.5382');
    expect(size(31_800_000_000_000_000n)).toBe('0.03180');
    expect(size(1n)).toBe('0.000000000000000001');
    expect(price(fromApi('91204.5', WAD))).toBe('91,204.50');
    expect(price(fromApi('2.51431', WAD))).toBe('2.5143');
    expect(price(fromApi('0.000012345', WAD))).toBe('0.00001235');
  });
  test('pixels are near enough', () => {
    expect(toPixels(1_072_345_678_901_234_567n, WAD)).toBeCloseTo(1.0723456789, 10);
    expect(toPixels(-500_000n, USDC)).toBe(-0.5);
  });
});
