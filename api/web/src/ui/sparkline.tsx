import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api/client';
import { useQuery } from '../api/query';
import { WAD, format, fromApi, toPixels } from '../units/amount';

const WIDTH = 132;
const HEIGHT = 36;
const POINTS = 80;

export interface SparkPoint {
  readonly time: number;
  readonly value: number;
}

/** The path of the points and the height at which the record began, in the sparkline's own pixels. */
export function sparkPath(points: readonly SparkPoint[]): { readonly line: string; readonly start: number } {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return { line: '', start: HEIGHT / 2 };
  const values = points.map(({ value }) => value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const x = (time: number): number => (last.time === first.time ? WIDTH : ((time - first.time) / (last.time - first.time)) * WIDTH);
  const y = (value: number): number => (high === low ? HEIGHT / 2 : HEIGHT - 2 - ((value - low) / (high - low)) * (HEIGHT - 4));
  const steps = points.map(({ time, value }, index) => `${index === 0 ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`);
  if (points.length === 1) steps.unshift(`M0 ${(HEIGHT / 2).toFixed(1)}`);
  return { line: steps.join(''), start: y(first.value) };
}

/** The whole record in the size of a word; fetched once it comes into view. */
export function Sparkline({ strategyId, vault }: { readonly strategyId: string; readonly vault: string | undefined }): JSX.Element {
  const element = useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const target = element.current;
    if (target === null || seen) return undefined;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
    });
    observer.observe(target);
    return () => observer.disconnect();
  }, [seen]);

  const query = useQuery(seen && vault !== undefined ? `spark:${vault}` : undefined, (signal) =>
    get('/api/v1/strategies/{id}/nav', { path: { id: strategyId }, query: { points: POINTS, ...(vault === undefined ? {} : { vault }) }, signal }),
  );
  const points = query.data?.points ?? [];
  const first = points[0];
  const last = points.at(-1);
  const { line, start } = sparkPath(
    points.map((point) => ({ time: Date.parse(point.time), value: toPixels(fromApi(point.navIndex, WAD), WAD) })),
  );
  const shown = (text: string): string => format(fromApi(text, WAD), WAD, { digits: 4 });
  const label =
    first === undefined || last === undefined
      ? 'no NAV record yet'
      : `NAV index from ${shown(first.navIndex)} to ${shown(last.navIndex)} over ${query.data?.samples ?? points.length} points`;
  return (
    <span ref={element}>
      <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {line !== '' && (
          <>
            <path class="base" d={`M0 ${start.toFixed(1)}H${WIDTH}`} />
            <path d={line} />
          </>
        )}
      </svg>
    </span>
  );
}
