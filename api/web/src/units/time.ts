/** Times are shown in UTC everywhere: it is what the chain's records and everyone else's exports say. */

const two = (value: number): string => value.toString().padStart(2, '0');

/** `2026-11-21 09:16:05` */
export function utc(ms: number): string {
  const date = new Date(ms);
  return `${utcDate(ms)} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

/** `2026-11-21` */
export function utcDate(ms: number): string {
  const date = new Date(ms);
  return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

/** `340 ms`, `1.2 s`, `4 min 10 s`, `3 h 5 min`, `12 d 4 h` */
export function duration(ms: number): string {
  const sign = ms < 0 ? '\u2212' : '';
  const total = Math.abs(ms);
  if (total < 1000) return `${sign}${Math.round(total)} ms`;
  if (total < 60_000) return `${sign}${(total / 1000).toFixed(1).replace(/\.0$/, '')} s`;
  const seconds = Math.floor(total / 1000);
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  const [length, name] = units[first] ?? [1, 's'];
  const [nextLength, nextName] = units[first + 1] ?? [1, 's'];
  const whole = Math.floor(seconds / length);
  const rest = Math.floor((seconds % length) / nextLength);
  return `${sign}${whole} ${name}${rest > 0 ? ` ${rest} ${nextName}` : ''}`;
}

/** `12 s ago`, `in 3 d` */
export function relative(ms: number, now: number): string {
  const distance = now - ms;
  if (Math.abs(distance) < 1000) return 'just now';
  const coarse = duration(Math.floor(Math.abs(distance) / 1000) * 1000);
  return distance > 0 ? `${coarse} ago` : `in ${coarse}`;
}

/** Where announced terms are: still in their notice, open to be applied, or past the time in which they could be. */
export type NoticeStage = 'notice' | 'open' | 'lapsed';

export function noticeStage({ effectiveAt, lapsesAt }: { readonly effectiveAt: string; readonly lapsesAt: string }, now: number): NoticeStage {
  if (now < Date.parse(effectiveAt)) return 'notice';
  return now <= Date.parse(lapsesAt) ? 'open' : 'lapsed';
}
