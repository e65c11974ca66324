import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../wallet/errors';

export interface Query<T> {
  /** The last good reply. Kept while a newer one is on its way, so that nothing jumps. */
  readonly data: T | undefined;
  /** Why the last attempt failed. `data` may still hold an older reply. */
  readonly error: Error | undefined;
  /** True until the first reply or failure. */
  readonly loading: boolean;
  readonly refresh: () => void;
}

interface State<T> {
  readonly key: string | undefined;
  readonly data: T | undefined;
  readonly error: Error | undefined;
}

/**
 * Fetches whenever `key` changes (`undefined`: not at all), on `refresh()` and, if asked, at an interval while the page is
 * visible. A reply that a newer request has overtaken is dropped. `keep`: what is shown stays while another key loads.
 */
export function useQuery<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  options: { readonly everyMs?: number; readonly keep?: boolean } = {},
): Query<T> {
  const { everyMs, keep = false } = options;
  const [state, setState] = useState<State<T>>({ key, data: undefined, error: undefined });
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;

  useEffect(() => {
    if (key === undefined) return undefined;
    const controller = new AbortController();
    loader.current(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setState({ key, data, error: undefined });
      },
      (reason: unknown) => {
        if (controller.signal.aborted) return;
        const error = reason instanceof Error ? reason : new Error(messageOf(reason));
        setState((before) => ({ key, data: keep || before.key === key ? before.data : undefined, error }));
      },
    );
    return () => controller.abort();
  }, [key, turn, keep]);

  const refresh = useCallback(() => setTurn((before) => before + 1), []);

  useEffect(() => {
    if (everyMs === undefined || key === undefined) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') refresh();
    }, everyMs);
    const onVisible = (): void => {
      if (document.visibilityState === 'visible') refresh();
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [key, everyMs, refresh]);

  const current = state.key === key;
  const data = current || (keep && key !== undefined) ? state.data : undefined;
  const error = current ? state.error : undefined;
  return { data, error, loading: key !== undefined && data === undefined && error === undefined, refresh };
}
