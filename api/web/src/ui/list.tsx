/** A list that comes in pages from the API, and the sheet it is shown on. */
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { useQuery, type Query } from '../api/query';
import { Blank, Failure } from './parts';
import { Table, type Column } from './table';

export interface PageOf<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}

export interface Paged<T> extends Query<PageOf<T>> {
  /** Shows one page more. */
  readonly more: () => void;
}

/** As many pages as were asked for, one after the other, again whenever `key` changes. */
export function usePages<T>(key: string, load: (cursor: { readonly cursor?: string }, signal: AbortSignal) => Promise<PageOf<T>>): Paged<T> {
  const [pages, setPages] = useState(1);
  const query = useQuery(
    `${key}:${pages}`,
    async (signal): Promise<PageOf<T>> => {
      const items: T[] = [];
      let next: string | null | undefined;
      for (let page = 0; page < pages; page += 1) {
        const reply = await load(next ? { cursor: next } : {}, signal);
        items.push(...reply.items);
        next = reply.next;
        if (!next) break;
      }
      return { items, next: next ?? null };
    },
    { keep: true },
  );
  return { ...query, more: () => setPages((before) => before + 1) };
}

interface Props<T> {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[] | undefined;
  readonly rowKey: (row: T) => string;
  readonly expected?: number;
  /** Of the last attempt; what was there before it stays. */
  readonly error: Error | undefined;
  readonly retry: () => void;
  /** Instead of a table without rows. */
  readonly blank: { readonly title: string; readonly text: ComponentChildren };
  /** When there is more than is shown. */
  readonly more?: { readonly label: string; readonly show: () => void } | undefined;
}

/** The newest rows, or why there are none. */
export function List<T>({ caption, columns, rows, rowKey, expected, error, retry, blank, more }: Props<T>): JSX.Element {
  return (
    <div class="sheet">
      {error !== undefined && (
        <div class="pad">
          <Failure error={error} retry={retry} />
        </div>
      )}
      {rows !== undefined && rows.length === 0 ? (
        <Blank title={blank.title}>
          <p>{blank.text}</p>
        </Blank>
      ) : (
        !(error !== undefined && rows === undefined) && (
          <div class="scroll">
            <Table caption={caption} columns={columns} rows={rows} rowKey={rowKey} {...(expected === undefined ? {} : { expected })} />
          </div>
        )
      )}
      {more !== undefined && (
        <div class="more">
          <span>{rows?.length} newest</span>
          <button type="button" class="button small" onClick={more.show}>
            {more.label}
          </button>
        </div>
      )}
    </div>
  );
}
