import type { JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { stream } from '../api/stream';
import { useStore } from '../store';
import { WAD, divide, format, fromApi, percent, pow10, toPixels, usdc, USDC } from '../units/amount';
import { utc } from '../units/time';
import { Failure } from '../ui/parts';
import { useDark } from '../ui/theme';
import { useCurve, type NavPoint } from './curve';
import type { Painter } from './paint';
import { INSET, RANGES, clampSpan, draggedSpan, nearest, panSpan, zoomSpan, type Span } from './window';

interface Props {
  readonly strategyId: string;
  readonly vault: string | undefined;
}

function change(from: NavPoint, to: NavPoint): bigint {
  const base = fromApi(from.navIndex, WAD);
  return base === 0n ? 0n : divide((fromApi(to.navIndex, WAD) - base) * pow10(WAD), base);
}

export function NavChart({ strategyId, vault }: Props): JSX.Element {
  const canvas = useRef<HTMLDivElement>(null);
  const paint = useRef<HTMLDivElement>(null);
  const painter = useRef<Painter | undefined>(undefined);
  const [painterReady, setPainterReady] = useState(false);
  const [width, setWidth] = useState(0);
  const [cursor, setCursor] = useState<number>();
  const [drag, setDrag] = useState<{ readonly start: number; readonly end: number }>();
  const helpId = useId();
  const dark = useDark();
  const connection = useStore(stream().connection);

  const plotWidth = Math.max(0, width - INSET.left - INSET.right);
  const curve = useCurve(strategyId, vault, plotWidth);
  const { points, view, bounds } = curve;
  const times = points.map((point) => Date.parse(point.time));
  const values = points.map((point) => toPixels(fromApi(point.navIndex, WAD), WAD));

  useEffect(() => {
    const target = canvas.current;
    if (target === null) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      setWidth(Math.round(entry.contentRect.width));
      painter.current?.resize();
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    let gone = false;
    import('./paint').then(
      ({ createPainter }) => {
        if (gone || paint.current === null) return;
        painter.current = createPainter(paint.current);
        setPainterReady(true);
      },
      () => undefined,
    );
    return () => {
      gone = true;
      painter.current?.dispose();
      painter.current = undefined;
    };
  }, []);

  useEffect(() => {
    if (view !== undefined && painterReady) painter.current?.draw({ times, values }, view);
  }, [points, view, painterReady, width]);

  useEffect(() => painter.current?.recolour(), [dark]);

  const inView = view === undefined ? [] : points.filter((_point, index) => (times[index] ?? 0) >= view.from && (times[index] ?? 0) <= view.to);
  const first = inView[0] ?? points[0];
  const selected = cursor === undefined ? undefined : points.find((point) => point.index === cursor);
  const shown = selected ?? curve.latest ?? points.at(-1);

  const xOf = (time: number): number => {
    if (view === undefined || view.to === view.from) return INSET.left;
    return INSET.left + ((time - view.from) / (view.to - view.from)) * plotWidth;
  };

  function pointAt(clientX: number): NavPoint | undefined {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined || view === undefined || plotWidth === 0) return undefined;
    const share = (clientX - box.left - INSET.left) / plotWidth;
    return points[nearest(times, view.from + share * (view.to - view.from))];
  }

  function go(next: Span): void {
    if (bounds !== undefined) curve.setView(clampSpan(next, bounds));
  }

  function moveCursor(steps: number): void {
    if (inView.length === 0) return;
    const current = inView.findIndex((point) => point.index === shown?.index);
    const next = inView[Math.min(Math.max((current < 0 ? inView.length - 1 : current) + steps, 0), inView.length - 1)];
    setCursor(next?.index);
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (view === undefined || bounds === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const anchor = shown === undefined ? view.to : Math.min(Math.max(Date.parse(shown.time), view.from), view.to);
    const actions: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => (event.shiftKey ? go(panSpan(view, bounds, -0.25)) : moveCursor(-1)),
      ArrowRight: () => (event.shiftKey ? go(panSpan(view, bounds, 0.25)) : moveCursor(1)),
      PageUp: () => moveCursor(-10),
      PageDown: () => moveCursor(10),
      Home: () => moveCursor(-inView.length),
      End: () => moveCursor(inView.length),
      '+': () => go(zoomSpan(view, bounds, 0.5, anchor)),
      '=': () => go(zoomSpan(view, bounds, 0.5, anchor)),
      '-': () => go(zoomSpan(view, bounds, 2, anchor)),
      '0': () => curve.setRange('all'),
      Escape: () => {
        setDrag(undefined);
        setCursor(undefined);
      },
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  function onPointerDown(event: PointerEvent): void {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined || (event.pointerType === 'mouse' && event.button !== 0)) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const x = event.clientX - box.left - INSET.left;
    setDrag({ start: x, end: x });
  }

  function onPointerMove(event: PointerEvent): void {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined) return;
    setCursor(pointAt(event.clientX)?.index);
    if (drag !== undefined) setDrag({ ...drag, end: event.clientX - box.left - INSET.left });
  }

  function onPointerUp(): void {
    if (drag !== undefined && view !== undefined) {
      const span = draggedSpan(view, plotWidth, drag.start, drag.end);
      if (span !== undefined) go(span);
    }
    setDrag(undefined);
  }

  const zoomed = bounds !== undefined && view !== undefined && (view.from > bounds.from || view.to < bounds.to);
  const value = shown === undefined ? undefined : fromApi(shown.navIndex, WAD);
  const difference = first === undefined || shown === undefined ? undefined : change(first, shown);
  const spoken =
    shown === undefined || value === undefined
      ? 'no NAV point yet'
      : `${utc(Date.parse(shown.time))} UTC, NAV index ${format(value, WAD, { digits: 6 })}`;
  const clamp = (x: number): number => Math.min(Math.max(x, 0), plotWidth);

  return (
    <section class="chart sheet pad" aria-label="NAV curve">
      <div class="spread">
        <div class="readout">
          <span>
            <span class="quiet small">NAV index </span>
            <strong>{value === undefined ? '–' : format(value, WAD, { digits: 6 })}</strong>
          </span>
          {difference !== undefined && (
            <span class={difference > 0n ? 'gain' : difference < 0n ? 'loss' : 'quiet'}>
              {percent(difference, { sign: true })} % <span class="quiet">since the start of the view</span>
            </span>
          )}
          <span class="quiet small">
            {shown === undefined ? 'no points yet' : `${utc(Date.parse(shown.time))} UTC · ${usdc(fromApi(shown.totalEquity, USDC))} USDC · point ${shown.index}`}
          </span>
        </div>
        <div class="row">
          <span class="live" data-on={connection === 'live'}>
            <span class="dot" aria-hidden="true" />
            {connection === 'live' ? 'live' : connection === 'lost' ? 'reconnecting…' : 'connecting…'}
          </span>
          <div class="choices" role="group" aria-label="Range">
            {RANGES.map((range) => (
              <button
                key={range.name}
                type="button"
                aria-pressed={curve.range === range.name}
                title={range.words}
                disabled={bounds === undefined}
                onClick={() => curve.setRange(range.name)}
              >
                <span aria-hidden="true">{range.label}</span>
                <span class="sr">{range.words}</span>
              </button>
            ))}
          </div>
          <button type="button" class="button small" disabled={!zoomed} onClick={() => curve.setRange('all')}>
            Reset
          </button>
        </div>
      </div>

      <div class="canvas" ref={canvas}>
        <div class="paint" ref={paint} aria-hidden="true" />
        {drag !== undefined && Math.abs(drag.end - drag.start) >= 6 && (
          <div
            class="drag"
            style={{
              left: `${INSET.left + clamp(Math.min(drag.start, drag.end))}px`,
              width: `${clamp(Math.max(drag.start, drag.end)) - clamp(Math.min(drag.start, drag.end))}px`,
              top: `${INSET.top}px`,
              bottom: `${INSET.bottom}px`,
            }}
          />
        )}
        {selected !== undefined && painterReady && view !== undefined && Date.parse(selected.time) >= view.from && Date.parse(selected.time) <= view.to && (
          <div
            class="cross"
            style={{
              left: `${xOf(Date.parse(selected.time))}px`,
              top: `${INSET.top}px`,
              bottom: `${INSET.bottom}px`,
              '--dot': `${(painter.current?.yOf(toPixels(fromApi(selected.navIndex, WAD), WAD)) ?? 0) - INSET.top}px`,
            }}
          />
        )}
        <div
          class="grip"
          role="slider"
          tabIndex={0}
          aria-label="Point of the NAV record"
          aria-describedby={helpId}
          aria-valuemin={inView[0]?.index ?? 0}
          aria-valuemax={inView.at(-1)?.index ?? 0}
          aria-valuenow={shown?.index ?? 0}
          aria-valuetext={spoken}
          onKeyDown={onKeyDown}
          onPointerDown={onPointerDown}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerCancel={() => setDrag(undefined)}
          onPointerLeave={() => {
            if (drag === undefined) setCursor(undefined);
          }}
          onDblClick={() => curve.setRange('all')}
        />
        {points.length === 0 && curve.error === undefined && (
          <div class="cover">{curve.loading ? 'Loading the NAV record…' : 'No NAV point has been recorded yet. The first one appears here by itself.'}</div>
        )}
      </div>
      {curve.error !== undefined && <Failure error={curve.error} retry={curve.retry} />}
      <p class="small quiet" id={helpId}>
        Drag to zoom, double-click to reset. With the keyboard: arrows move the point, + and − zoom, Shift with arrows pans, 0
        resets.{' '}
        {curve.downsampled
          ? `Showing ${points.length} of ${curve.total} points here, with every peak and trough; zoom in for all.`
          : points.length > 0 && `All ${curve.total} points of this stretch are shown.`}
      </p>
    </section>
  );
}
