import type { ComponentChildren, JSX } from 'preact';
import { Down } from './icons';
import { Skeleton } from './parts';

export interface Column<T> {
  readonly key: string;
  readonly label: string;
  /** In the head instead of the label, e.g. with an explanation. */
  readonly head?: ComponentChildren;
  readonly numeric?: boolean;
  /** Holds sentences. */
  readonly long?: boolean;
  readonly sortable?: boolean;
  /** Names the row. One column has it. */
  readonly title?: boolean;
  /** Share of the table, e.g. `12%`. When every column has one, nothing moves as rows arrive. */
  readonly width?: string;
  readonly cell: (row: T) => ComponentChildren;
}

export interface Sort {
  readonly key: string;
  readonly descending: boolean;
}

interface Props<T> {
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[] | undefined;
  readonly rowKey: (row: T) => string;
  readonly sort?: Sort;
  readonly onSort?: (key: string) => void;
  /** Rows held free while the first reply is on its way. */
  readonly expected?: number;
  readonly links?: boolean;
}

/** On a narrow screen every row becomes a block of labelled figures; the roles keep it a table for screen readers. */
export function Table<T>({ caption, columns, rows, rowKey, sort, onSort, expected = 3, links }: Props<T>): JSX.Element {
  return (
    <table class={`table folds ${columns.every(({ width }) => width !== undefined) ? 'fixed' : ''}`} role="table" aria-busy={rows === undefined}>
      <caption class="sr">{caption}</caption>
      <colgroup>
        {columns.map((column) => (
          <col key={column.key} style={column.width === undefined ? undefined : { width: column.width }} />
        ))}
      </colgroup>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => {
            const active = sort?.key === column.key;
            return (
              <th
                key={column.key}
                role="columnheader"
                scope="col"
                class={column.numeric ? 'num' : ''}
                aria-sort={column.sortable ? (active ? (sort.descending ? 'descending' : 'ascending') : 'none') : undefined}
              >
                {column.sortable && onSort ? (
                  <button type="button" class="sort" onClick={() => onSort(column.key)}>
                    {column.label}
                    <Down />
                  </button>
                ) : (
                  (column.head ?? column.label)
                )}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows === undefined
          ? Array.from({ length: expected }, (_none, index) => (
              <tr key={`waiting-${index}`} role="row" class="waiting">
                {columns.map((column) => (
                  <td key={column.key} role="cell" data-label={column.label} class={`${column.numeric ? 'num' : ''} ${column.title ? 'title' : ''} ${column.long ? 'long' : ''}`}>
                    <Skeleton width={column.title ? '18ch' : '8ch'} />
                  </td>
                ))}
              </tr>
            ))
          : rows.map((row) => (
              <tr key={rowKey(row)} role="row" class={links ? 'links' : ''}>
                {columns.map((column) => (
                  <td
                    key={column.key}
                    role={column.title ? 'rowheader' : 'cell'}
                    data-label={column.label}
                    class={`${column.numeric ? 'num' : ''} ${column.title ? 'title' : ''} ${column.long ? 'long' : ''}`}
                  >
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            ))}
      </tbody>
    </table>
  );
}
