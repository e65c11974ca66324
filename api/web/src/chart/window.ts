/** Which part of a curve is shown, and when what is loaded no longer does for it. Times are unix milliseconds. */

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What a reply held. */
export interface Loaded {
  readonly span: Span;
  /** Every point of the span is there; nothing was thinned out. */
  readonly complete: boolean;
  /** Points in the reply. */
  readonly count: number;
}

export interface Query extends Span {
  readonly points: number;
}

/** Pixels around the plot, the same for the painter and for the overlay that reads the pointer. */
export const INSET = { left: 4, right: 68, top: 14, bottom: 28 } as const;

export type RangeName = '1h' | '1d' | '1w' | '1m' | 'all';

const HOUR = 3_600_000;

export const RANGES: readonly { readonly name: RangeName; readonly label: string; readonly words: string; readonly length?: number }[] = [
  { name: '1h', label: '1H', words: 'last hour', length: HOUR },
  { name: '1d', label: '1D', words: 'last day', length: 24 * HOUR },
  { name: '1w', label: '1W', words: 'last 7 days', length: 7 * 24 * HOUR },
  { name: '1m', label: '1M', words: 'last 30 days', length: 30 * 24 * HOUR },
  { name: 'all', label: 'All', words: 'whole record' },
];

/** Nothing is recorded more finely than a second. */
export const SHORTEST = 10_000;

/** Points worth asking for: two for each column of pixels (its lowest and its highest), within the API's limits. */
export function pointsFor(pixels: number): number {
  return Math.min(2000, Math.max(200, Math.ceil(pixels) * 2));
}

/** Keeps a view inside the record, without changing its length if it fits. */
export function clampSpan(view: Span, bounds: Span): Span {
  const whole = Math.max(bounds.to - bounds.from, SHORTEST);
  const length = Math.min(Math.max(view.to - view.from, SHORTEST), whole);
  const latest = bounds.from + whole - length;
  const middle = (view.from + view.to) / 2;
  // A view that was too short grows around its middle.
  const wanted = view.to - view.from < SHORTEST ? middle - length / 2 : view.from;
  const from = Math.round(Math.min(Math.max(wanted, bounds.from), latest));
  return { from, to: from + Math.round(length) };
}

export function rangeSpan(name: RangeName, bounds: Span): Span {
  const length = RANGES.find((range) => range.name === name)?.length;
  return length === undefined ? clampSpan(bounds, bounds) : clampSpan({ from: bounds.to - length, to: bounds.to }, bounds);
}

/** `factor` below 1 zooms in; what is under `anchor` stays where it is. */
export function zoomSpan(view: Span, bounds: Span, factor: number, anchor: number): Span {
  return clampSpan({ from: anchor - (anchor - view.from) * factor, to: anchor + (view.to - anchor) * factor }, bounds);
}

/** `share` of the view's own length; positive is later. */
export function panSpan(view: Span, bounds: Span, share: number): Span {
  const distance = (view.to - view.from) * share;
  return clampSpan({ from: view.from + distance, to: view.to + distance }, bounds);
}

/** True when the view ends where the record does: it then moves on with the record. */
export function isLive(view: Span, bounds: Span): boolean {
  return view.to >= bounds.to;
}

/** The view after the record has grown. A whole-record view grows, a window slides, a look back stays. */
export function followBounds(view: Span, before: Span, after: Span): Span {
  if (!isLive(view, before)) return view;
  const from = view.from <= before.from ? after.from : view.from + (after.to - before.to);
  return clampSpan({ from, to: after.to }, after);
}

/**
 * What to fetch so that `view` is drawn as finely as the screen shows, or `undefined` when what is loaded does.
 * A margin on both sides lets the line leave the frame and small pans need nothing new.
 */
export function planQuery(view: Span, loaded: Loaded | undefined, pixels: number): Query | undefined {
  const points = pointsFor(pixels);
  const length = view.to - view.from;
  if (loaded !== undefined && loaded.span.from <= view.from && loaded.span.to >= view.to) {
    const span = loaded.span.to - loaded.span.from;
    const share = span <= 0 ? 1 : length / span;
    // Thinned points lie evenly, so the share of the span is the share of the points.
    if (loaded.complete || loaded.count * share >= points / 2) return undefined;
  }
  const margin = Math.ceil(length * 0.1);
  return { from: Math.floor(view.from) - margin, to: Math.ceil(view.to) + margin, points: Math.min(2000, Math.ceil(points * 1.2)) };
}

/** The span that was dragged over, or `undefined` for what was only a click. */
export function draggedSpan(view: Span, width: number, startX: number, endX: number): Span | undefined {
  if (width <= 0 || Math.abs(endX - startX) < 6) return undefined;
  const at = (x: number): number => view.from + (Math.min(Math.max(x, 0), width) / width) * (view.to - view.from);
  const [from, to] = startX < endX ? [at(startX), at(endX)] : [at(endX), at(startX)];
  return { from: Math.round(from), to: Math.round(to) };
}

const MINUTE = 60_000;
const DAY = 24 * HOUR;
const TICKS: readonly number[] = [
  1000, 5000, 10_000, 30_000,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 91 * DAY, 182 * DAY, 364 * DAY,
];

/** Times to label: evenly spaced, on whole units in UTC, at most `most` of them, none at the very edge. */
export function timeTicks(view: Span, most: number): readonly number[] {
  const length = view.to - view.from;
  const step = TICKS.find((each) => length / each <= most) ?? 364 * DAY;
  const ticks: number[] = [];
  for (let time = Math.ceil((view.from + length * 0.03) / step) * step; time <= view.to - length * 0.03; time += step) ticks.push(time);
  return ticks;
}

/** Index of the point nearest to `time` in points sorted by time, or -1. */
export function nearest(times: readonly number[], time: number): number {
  let low = 0;
  let high = times.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  const after = times[low] ?? 0;
  const before = times[low - 1];
  return before !== undefined && time - before <= after - time ? low - 1 : low;
}
