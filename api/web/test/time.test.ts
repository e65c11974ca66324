import { expect, test } from 'vitest';
import { duration, noticeStage, relative, utc, utcDate } from '../src/units/time';

test('times are UTC, whatever zone the machine is in', () => {
  expect(utc(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02 03:04:05');
  expect(utcDate(Date.UTC(2026, 11, 31, 23, 59, 59))).toBe('2026-12-31');
});

test('durations name their unit', () => {
  expect(duration(0)).toBe('0 ms');
  expect(duration(340)).toBe('340 ms');
  expect(duration(1840)).toBe('1.8 s');
  expect(duration(2000)).toBe('2 s');
  expect(duration(250_000)).toBe('4 min 10 s');
  expect(duration(3_600_000)).toBe('1 h');
  expect(duration(100 * 3_600_000)).toBe('4 d 4 h');
  expect(duration(-1500)).toBe('\u22121.5 s');
});

test('ages are in words', () => {
  expect(relative(1000, 1500)).toBe('just now');
  expect(relative(0, 12_400)).toBe('12 s ago');
  expect(relative(60_000, 0)).toBe('in 1 min');
});

test('announced terms are in notice, then open to be applied, then lapsed, as the registry’s limits are', () => {
  const terms = { effectiveAt: '2026-01-04T00:00:00.000Z', lapsesAt: '2026-01-05T00:00:00.000Z' };
  const at = (iso: string) => noticeStage(terms, Date.parse(iso));
  expect(at('2026-01-03T23:59:59.999Z')).toBe('notice');
  expect(at('2026-01-04T00:00:00.000Z')).toBe('open');
  expect(at('2026-01-05T00:00:00.000Z')).toBe('open');
  expect(at('2026-01-05T00:00:00.001Z')).toBe('lapsed');
});
