import { describe, expect, test } from 'vitest';
import { clampSpan, draggedSpan, followBounds, isLive, nearest, panSpan, planQuery, pointsFor, rangeSpan, timeTicks, zoomSpan, type Loaded } from '../src/chart/window';

const HOUR = 3_600_000;
const bounds = { from: 0, to: 1000 * HOUR };

describe('views', () => {
  test('stay inside the record and keep their length', () => {
    expect(clampSpan({ from: -10 * HOUR, to: 10 * HOUR }, bounds)).toEqual({ from: 0, to: 20 * HOUR });
    expect(clampSpan({ from: 995 * HOUR, to: 1005 * HOUR }, bounds)).toEqual({ from: 990 * HOUR, to: 1000 * HOUR });
    expect(clampSpan({ from: -1, to: 5000 * HOUR }, bounds)).toEqual(bounds);
  });
  test('are never shorter than can be told apart', () => {
    const view = clampSpan({ from: 5 * HOUR, to: 5 * HOUR + 1 }, bounds);
    expect(view.to - view.from).toBe(10_000);
    expect(view.from).toBeLessThanOrEqual(5 * HOUR);
    expect(view.to).toBeGreaterThan(5 * HOUR);
  });
  test('zooming keeps what is under the anchor, and zooming back returns', () => {
    const view = { from: 100 * HOUR, to: 200 * HOUR };
    const nearer = zoomSpan(view, bounds, 0.5, 125 * HOUR);
    expect((125 * HOUR - nearer.from) / (nearer.to - nearer.from)).toBeCloseTo(0.25);
    expect(zoomSpan(nearer, bounds, 2, 125 * HOUR)).toEqual(view);
  });
  test('pan by a share of themselves', () => {
    expect(panSpan({ from: 100 * HOUR, to: 200 * HOUR }, bounds, 0.25)).toEqual({ from: 125 * HOUR, to: 225 * HOUR });
    expect(panSpan({ from: 950 * HOUR, to: 1000 * HOUR }, bounds, 0.25)).toEqual({ from: 950 * HOUR, to: 1000 * HOUR });
  });
  test('range buttons end where the record ends', () => {
    expect(rangeSpan('1d', bounds)).toEqual({ from: 976 * HOUR, to: 1000 * HOUR });
    expect(rangeSpan('all', bounds)).toEqual(bounds);
    expect(rangeSpan('1w', { from: 0, to: HOUR })).toEqual({ from: 0, to: HOUR });
  });
  test('a record of one point can be shown', () => {
    const view = rangeSpan('all', { from: 5, to: 5 });
    expect(view.to).toBeGreaterThan(view.from);
  });
});

describe('a growing record', () => {
  const after = { from: 0, to: 1001 * HOUR };
  test('is followed by a view of all of it', () => {
    expect(followBounds(bounds, bounds, after)).toEqual(after);
  });
  test('pulls along a window at its end', () => {
    expect(followBounds({ from: 976 * HOUR, to: 1000 * HOUR }, bounds, after)).toEqual({ from: 977 * HOUR, to: 1001 * HOUR });
  });
  test('leaves a look back alone', () => {
    const view = { from: 100 * HOUR, to: 200 * HOUR };
    expect(isLive(view, bounds)).toBe(false);
    expect(followBounds(view, bounds, after)).toBe(view);
  });
});

describe('what has to be fetched', () => {
  const loaded: Loaded = { span: bounds, complete: false, count: 2000 };
  test('everything, when nothing is loaded', () => {
    expect(planQuery(bounds, undefined, 600)).toMatchObject({ points: 1440 });
  });
  test('nothing, while what is loaded is fine enough', () => {
    expect(planQuery(bounds, loaded, 600)).toBeUndefined();
    expect(planQuery({ from: 0, to: 500 * HOUR }, loaded, 600)).toBeUndefined();
  });
  test('the part zoomed into, once the loaded points are too coarse for it', () => {
    const view = { from: 400 * HOUR, to: 500 * HOUR };
    const plan = planQuery(view, loaded, 600);
    expect(plan).toBeDefined();
    expect(plan?.from).toBe(390 * HOUR);
    expect(plan?.to).toBe(510 * HOUR);
    expect(plan?.points).toBeGreaterThanOrEqual(1200);
  });
  test('nothing ever, when every point of the record is there', () => {
    expect(planQuery({ from: 400 * HOUR, to: 401 * HOUR }, { ...loaded, complete: true, count: 50 }, 600)).toBeUndefined();
  });
  test('what lies outside of what is loaded', () => {
    const part: Loaded = { span: { from: 400 * HOUR, to: 500 * HOUR }, complete: true, count: 10 };
    expect(planQuery({ from: 450 * HOUR, to: 550 * HOUR }, part, 600)).toBeDefined();
    expect(planQuery(bounds, part, 600)).toBeDefined();
  });
  test('its own answer is always enough: a plan leads to no second one', () => {
    for (const pixels of [50, 300, 900, 4000]) {
      for (const view of [bounds, { from: 10 * HOUR, to: 11 * HOUR }, { from: 999 * HOUR, to: 1000 * HOUR }]) {
        const plan = planQuery(view, undefined, pixels);
        expect(plan).toBeDefined();
        if (plan === undefined) continue;
        // The API gives as many points as asked for, or fewer when it gives every one.
        expect(planQuery(view, { span: plan, complete: false, count: plan.points * 0.7 }, pixels)).toBeUndefined();
      }
    }
  });
  test('points follow the width, within the API’s limits', () => {
    expect(pointsFor(1)).toBe(200);
    expect(pointsFor(700)).toBe(1400);
    expect(pointsFor(10_000)).toBe(2000);
  });
});

describe('pointer', () => {
  const view = { from: 0, to: 1000 };
  test('a drag is a span, in either direction', () => {
    expect(draggedSpan(view, 100, 20, 60)).toEqual({ from: 200, to: 600 });
    expect(draggedSpan(view, 100, 60, 20)).toEqual({ from: 200, to: 600 });
  });
  test('a click is none, and beyond the edge is the edge', () => {
    expect(draggedSpan(view, 100, 20, 23)).toBeUndefined();
    expect(draggedSpan(view, 100, -50, 60)).toEqual({ from: 0, to: 600 });
  });
  test('the nearest point is found', () => {
    expect(nearest([], 5)).toBe(-1);
    expect(nearest([0, 10, 20], 4)).toBe(0);
    expect(nearest([0, 10, 20], 6)).toBe(1);
    expect(nearest([0, 10, 20], 99)).toBe(2);
    expect(nearest([0, 10, 20], -5)).toBe(0);
  });
});

test('ticks are whole units, few enough, and inside', () => {
  for (const length of [20_000, HOUR, 24 * HOUR, 9 * 24 * HOUR, 400 * 24 * HOUR, 4000 * 24 * HOUR]) {
    const from = Date.UTC(2026, 2, 3, 4, 5, 6);
    const ticks = timeTicks({ from, to: from + length }, 8);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.every((tick) => tick > from && tick < from + length)).toBe(true);
    if (length < 2000 * 24 * HOUR) expect(ticks.length).toBeLessThanOrEqual(9);
  }
});
