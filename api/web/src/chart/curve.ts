/** The part of a NAV record that is on the screen: fetched as finely as is shown, and extended as points arrive. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { get, type Schemas } from '../api/client';
import { useTopic } from '../api/stream';
import { messageOf } from '../wallet/errors';
import { followBounds, planQuery, pointsFor, rangeSpan, type Loaded, type RangeName, type Span } from './window';

export type NavPoint = Schemas['NavPoint'];

export interface Curve {
  readonly points: readonly NavPoint[];
  readonly bounds: Span | undefined;
  readonly view: Span | undefined;
  /** The range button that the view came from, if any. */
  readonly range: RangeName | undefined;
  readonly latest: NavPoint | undefined;
  /** Points of the whole record in the window that was loaded, and whether some were left out. */
  readonly total: number;
  readonly downsampled: boolean;
  readonly loading: boolean;
  readonly error: Error | undefined;
}

export interface CurveControls extends Curve {
  readonly setView: (view: Span, range?: RangeName) => void;
  readonly setRange: (range: RangeName) => void;
  readonly retry: () => void;
}

/** Zooming by wheel or key makes many views; only the one that is rested on is fetched. */
const SETTLE_MS = 140;

const at = (point: NavPoint): number => Date.parse(point.time);

/** Adds points, in the order of the record, without doubles. */
export function mergePoints(points: readonly NavPoint[], more: readonly NavPoint[]): readonly NavPoint[] {
  const byIndex = new Map(points.map((point) => [point.index, point]));
  for (const point of more) byIndex.set(point.index, point);
  return [...byIndex.values()].sort((a, b) => a.index - b.index);
}

export function useCurve(strategyId: string, vault: string | undefined, pixels: number): CurveControls {
  const [curve, setCurve] = useState<Curve & { readonly loaded: Loaded | undefined }>({
    points: [],
    bounds: undefined,
    view: undefined,
    range: 'all',
    latest: undefined,
    total: 0,
    downsampled: false,
    loading: true,
    error: undefined,
    loaded: undefined,
  });
  const [turn, setTurn] = useState(0);
  const request = useRef<AbortController | undefined>(undefined);
  const ready = pixels > 0 && vault !== undefined;

  const fetchSpan = useCallback(
    (span: (Span & { points: number }) | undefined, width: number) => {
      if (vault === undefined) return;
      request.current?.abort();
      const controller = new AbortController();
      request.current = controller;
      setCurve((before) => ({ ...before, loading: true }));
      get('/api/v1/strategies/{id}/nav', {
        path: { id: strategyId },
        query: {
          vault,
          points: span?.points ?? pointsFor(width),
          ...(span === undefined ? {} : { from: new Date(Math.max(0, span.from)).toISOString(), to: new Date(span.to).toISOString() }),
        },
        signal: controller.signal,
      }).then(
        (series) => {
          if (controller.signal.aborted) return;
          setCurve((before) => {
            const first = series.points[0];
            const last = series.points.at(-1);
            // The first reply holds the whole record; later ones a part of it.
            const known = before.bounds;
            const whole = span === undefined && first !== undefined && last !== undefined ? { from: at(first), to: at(last) } : known;
            const bounds = whole !== undefined && known !== undefined ? { from: Math.min(whole.from, known.from), to: Math.max(whole.to, known.to) } : whole;
            const loadedSpan = span ?? bounds ?? { from: 0, to: 0 };
            // Points that arrived while the reply was on its way must not be lost.
            const newer = before.points.filter((point) => last !== undefined && point.index > last.index && at(point) <= loadedSpan.to);
            return {
              ...before,
              points: mergePoints(series.points, newer),
              bounds,
              view: before.view ?? (bounds === undefined ? undefined : rangeSpan('all', bounds)),
              latest: before.latest !== undefined && last !== undefined && before.latest.index > last.index ? before.latest : span === undefined ? last : (before.latest ?? last),
              total: series.samples,
              downsampled: !series.exact,
              loading: false,
              error: undefined,
              loaded: { span: loadedSpan, complete: series.exact, count: series.points.length },
            };
          });
        },
        (reason: unknown) => {
          if (controller.signal.aborted) return;
          setCurve((before) => ({ ...before, loading: false, error: reason instanceof Error ? reason : new Error(messageOf(reason)) }));
        },
      );
    },
    [strategyId, vault],
  );

  // The whole record first, and again whenever it may have changed underneath.
  useEffect(() => {
    if (ready) fetchSpan(undefined, pixels);
    return () => request.current?.abort();
    // A change of width alone is handled below, where it may turn out that nothing has to be fetched.
    // eslint-disable-next-line
  }, [ready, fetchSpan, turn]);

  // Then whatever a view needs.
  const { view, loaded } = curve;
  useEffect(() => {
    if (view === undefined || loaded === undefined || pixels <= 0) return undefined;
    const plan = planQuery(view, loaded, pixels);
    if (plan === undefined) return undefined;
    const timer = setTimeout(() => fetchSpan(plan, pixels), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [view, loaded, pixels, fetchSpan]);

  useTopic(`strategy:${strategyId}`, (event) => {
    if (event.kind === 'resync') {
      setTurn((before) => before + 1);
      return;
    }
    const { message } = event;
    if (message.type !== 'nav' || message.vault.toLowerCase() !== vault?.toLowerCase()) return;
    const { point } = message;
    setCurve((before) => {
      const time = at(point);
      const bounds = before.bounds === undefined ? { from: time, to: time } : { from: before.bounds.from, to: Math.max(before.bounds.to, time) };
      const view = before.view === undefined || before.bounds === undefined ? rangeSpan('all', bounds) : followBounds(before.view, before.bounds, bounds);
      // A reply that ended with the record now ends with the record again.
      const reaches = before.loaded !== undefined && before.bounds !== undefined && before.loaded.span.to >= before.bounds.to;
      return {
        ...before,
        points: reaches || before.loaded === undefined ? mergePoints(before.points, [point]) : before.points,
        bounds,
        view,
        latest: point,
        total: before.total + 1,
        loaded:
          reaches && before.loaded !== undefined
            ? { ...before.loaded, span: { from: before.loaded.span.from, to: Math.max(before.loaded.span.to, bounds.to) }, count: before.loaded.count + 1 }
            : before.loaded,
      };
    });
  });

  return {
    ...curve,
    setView: (next, range) => setCurve((before) => ({ ...before, view: next, range })),
    setRange: (range) =>
      setCurve((before) => (before.bounds === undefined ? before : { ...before, view: rangeSpan(range, before.bounds), range })),
    retry: () => setTurn((before) => before + 1),
  };
}
