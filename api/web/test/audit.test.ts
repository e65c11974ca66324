import { describe, expect, test } from 'vitest';
import { compareRecords, fromApiPoint, readIndexerRecord, type ApiPage, type ApiPoint, type RecordPoint, type Window } from '../src/chain/audit';

const point = (index: number, change: Partial<RecordPoint> = {}): RecordPoint => ({ index, time: BigInt(1000 + index), navIndex: 10n ** 18n + BigInt(index), totalEquity: BigInt(index), ...change });
const record = (count: number): RecordPoint[] => Array.from({ length: count }, (_none, index) => point(index));

describe('comparing', () => {
  test('n of n equal', () => {
    expect(compareRecords(record(5), record(5)).summary).toEqual({ equal: 5, compared: 5, disagree: 0, newer: 0 });
  });
  test('one unit in the last place of any figure is not equal', () => {
    for (const change of [{ time: 1003n }, { navIndex: 10n ** 18n + 3n }, { totalEquity: 3n }]) {
      const theirs = record(5);
      theirs[2] = point(2, change);
      const { rows, summary } = compareRecords(record(5), theirs);
      expect(summary).toEqual({ equal: 4, compared: 5, disagree: 1, newer: 0 });
      expect(rows[2]?.verdict).toBe('different');
    }
  });
  test('a point one side has passed and lacks is missing, whichever side', () => {
    const gap = record(5).filter(({ index }) => index !== 2);
    expect(compareRecords(record(5), gap).summary).toMatchObject({ equal: 4, disagree: 1 });
    expect(compareRecords(gap, record(5)).summary).toMatchObject({ equal: 4, disagree: 1 });
  });
  test('points recorded while reading are newer, not wrong', () => {
    expect(compareRecords(record(5), record(7)).summary).toEqual({ equal: 5, compared: 5, disagree: 0, newer: 2 });
    expect(compareRecords(record(7), record(5)).summary).toEqual({ equal: 5, compared: 5, disagree: 0, newer: 2 });
  });
  test('two empty records agree on nothing', () => {
    expect(compareRecords([], []).summary).toEqual({ equal: 0, compared: 0, disagree: 0, newer: 0 });
  });
});

test('an API point is read to the last digit', () => {
  expect(fromApiPoint({ index: 3, block: 9, time: '2026-01-31T12:00:00.000Z', navIndex: '1.072345678901234567', totalEquity: '1000.000001' })).toEqual({ index: 3, time: 1_769_860_800n, navIndex: 1_072_345_678_901_234_567n, totalEquity: 1_000_000_001n });
});

describe('reading all of the indexer’s points', () => {
  const start = Date.UTC(2026, 0, 1);
  const all: ApiPoint[] = Array.from({ length: 1000 }, (_none, index) => ({ index, block: index, time: new Date(start + Math.floor(index / 3) * 1000).toISOString(), navIndex: '1.0', totalEquity: '1.0' }));
  const api = (most: number, asked: Window[]) => (window: Window): Promise<ApiPage> => {
    asked.push(window);
    const from = window.from === undefined ? -Infinity : Date.parse(window.from);
    const to = window.to === undefined ? Infinity : Date.parse(window.to);
    const within = all.filter((each) => Date.parse(each.time) >= from && Date.parse(each.time) <= to);
    const stride = Math.ceil(within.length / most);
    const points = within.filter((_each, index) => index % stride === 0 || index === within.length - 1);
    return Promise.resolve({ exact: points.length === within.length, points });
  };
  test('halves thinned windows until nothing is left out', async () => {
    const asked: Window[] = [];
    const points = await readIndexerRecord(api(50, asked), new AbortController().signal);
    expect(points.map(({ index }) => index)).toEqual(all.map(({ index }) => index));
    expect(asked.length).toBeLessThan(100);
  });
  test('asks once when nothing is thinned', async () => {
    const asked: Window[] = [];
    await readIndexerRecord(api(5000, asked), new AbortController().signal);
    expect(asked).toEqual([{}]);
  });
  test('ends even when one second holds more than a reply', async () => {
    const points = await readIndexerRecord(api(2, []), new AbortController().signal);
    expect(points.length).toBeGreaterThan(600);
  });
});
