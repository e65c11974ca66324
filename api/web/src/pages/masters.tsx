import type { JSX } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import { get, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import { useTopic } from '../api/stream';
import { useMe, type Mine } from '../session/me';
import { USDC, bpsMultiple, bpsPercent, format, fromApi } from '../units/amount';
import { sortStrategies, type SortKey } from '../units/sort';
import { Explain } from '../ui/explain';
import { RoundUsdc, StatisticTip, StatisticValue, Usdc } from '../ui/figures';
import { useTitle } from '../ui/hooks';
import { Blank, Failure, shorten } from '../ui/parts';
import { Followed } from '../ui/session';
import { Sparkline } from '../ui/sparkline';
import { Table, type Column, type Sort } from '../ui/table';

type Strategy = Schemas['Strategy'];
type Statistic = Schemas['Statistic'];

const PAGE = 200;

/** The loss that matters is the deepest, so the list is first ordered from the shallowest drawdown. */
const FIRST_DIRECTION: Readonly<Record<SortKey, boolean>> = {
  equity: true,
  return: true,
  drawdown: false,
  followers: true,
};

function Explained({ of, coloured, sign }: { readonly of: Statistic; readonly coloured?: boolean; readonly sign?: boolean }): JSX.Element {
  return (
    <Explain tip={<StatisticTip of={of} />}>
      <StatisticValue of={of} {...(coloured ? { coloured } : {})} {...(sign ? { sign } : {})} />
    </Explain>
  );
}

const columnsFor = (mine: Mine): readonly Column<Strategy>[] => [
  {
    key: 'name',
    width: '21%',
    label: 'Master',
    title: true,
    cell: (row) => (
      <div>
        <a class="lead" href={`/strategies/${row.id}`}>
          {row.name}
        </a>{' '}
        <Followed as={mine.followedAs(row.id)} />
        <div class="small quiet">
          {row.markets.map(({ symbol }) => symbol).join(', ')} · <code title={row.master}>{shorten(row.master)}</code>
        </div>
      </div>
    ),
  },
  {
    key: 'return',
    width: '9%',
    label: 'Return',
    numeric: true,
    sortable: true,
    cell: (row) => <Explained of={row.statistics.totalReturn} coloured sign />,
  },
  {
    key: 'drawdown',
    width: '11%',
    label: 'Max. drawdown',
    numeric: true,
    sortable: true,
    cell: (row) => <Explained of={row.statistics.maxDrawdown} />,
  },
  {
    key: 'spark',
    width: '14%',
    label: 'NAV',
    cell: (row) => <Sparkline strategyId={row.id} vault={row.vaults[0]} />,
  },
  {
    key: 'followers',
    width: '8%',
    label: 'Followers',
    numeric: true,
    sortable: true,
    cell: (row) => format(BigInt(row.followers), 0, { digits: 0 }),
  },
  {
    key: 'equity',
    width: '14%',
    label: 'Under copy',
    numeric: true,
    sortable: true,
    cell: (row) => <RoundUsdc of={row.totalEquity} />,
  },
  {
    key: 'terms',
    width: '14%',
    label: 'Terms',
    cell: (row) => (
      <div class="small">
        <div class="nowrap">
          {bpsPercent(row.terms.copyFeeBps)} % of volume, to {bpsMultiple(row.terms.maxLeverageBps)}×
        </div>
        <div class="nowrap">{bpsPercent(row.terms.performanceFeeBps)} % of profit</div>
      </div>
    ),
  },
  {
    key: 'go',
    width: '9%',
    label: '',
    head: <span class="sr">Follow</span>,
    cell: (row) => (
      <a class="button small" href={`/strategies/${row.id}/follow`} aria-label={`Follow ${row.name}`}>
        Follow
      </a>
    ),
  },
];

function matches(row: Strategy, words: string): boolean {
  const text = [row.name, row.master, row.id, ...row.markets.map(({ symbol }) => symbol)].join(' ').toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function Masters(): JSX.Element {
  useTitle('Masters');
  const searchId = useId();
  const mine = useMe();
  const [words, setWords] = useState('');
  const [sort, setSort] = useState<{ readonly key: SortKey; readonly descending: boolean }>({ key: 'equity', descending: true });
  const [pages, setPages] = useState(1);
  /** What the API is asked to search for: only when it has more than this page has loaded. */
  const [asked, setAsked] = useState('');

  const query = useQuery(
    `${sort.key}:${pages}:${asked}`,
    async (signal) => {
      const items: Strategy[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < pages; page += 1) {
        const reply = await get('/api/v1/strategies', {
          query: { sort: sort.key, limit: PAGE, ...(asked === '' ? {} : { search: asked }), ...(cursor ? { cursor } : {}) },
          signal,
        });
        items.push(...reply.items);
        cursor = reply.next;
        if (!cursor) break;
      }
      return { items, more: Boolean(cursor) };
    },
    { keep: true, everyMs: 30_000 },
  );
  const [fresh, setFresh] = useState<ReadonlyMap<string, Strategy>>(new Map());
  useTopic('strategies', (event) => {
    if (event.kind === 'resync') query.refresh();
    else if (event.message.type === 'strategy') {
      const { strategy } = event.message;
      if (query.data !== undefined && !query.data.items.some(({ id }) => id === strategy.id)) query.refresh();
      setFresh((before) => new Map(before).set(strategy.id, strategy));
    }
  });

  // A newer list holds all that was pushed before it.
  useEffect(() => setFresh(new Map()), [query.data]);

  const more = query.data?.more === true;
  useEffect(() => {
    if (asked === '' && !more) return undefined;
    const timer = setTimeout(() => setAsked(words.trim()), 300);
    return () => clearTimeout(timer);
  }, [words, asked, more]);

  const all = query.data?.items.map((row) => fresh.get(row.id) ?? row);
  const matching = all?.filter((row) => words.trim() === '' || matches(row, words.trim()));
  const rows = matching === undefined ? undefined : sortStrategies(matching, sort.key, sort.descending);
  const equity = all?.reduce((sum, row) => sum + fromApi(row.totalEquity, USDC), 0n);

  function onSort(key: string): void {
    const next = key as SortKey;
    setSort((before) => (before.key === next ? { key: next, descending: !before.descending } : { key: next, descending: FIRST_DIRECTION[next] }));
  }

  return (
    <>
      <div class="head">
        <div>
          <h1>Masters</h1>
          <p>
            Follow a trader with money that never leaves your own account on chain. You sign once which bounds hold; the
            contract sizes every trade inside them, and you can leave at any time without asking anyone.
          </p>
        </div>
        <dl class="totals">
          <div>
            <dt>Strategies</dt>
            <dd>{all === undefined ? '–' : `${all.length}${query.data?.more ? '+' : ''}`}</dd>
          </div>
          <div>
            <dt>Under copy</dt>
            <dd>{equity === undefined ? '–' : <Usdc of={equity} digits={0} />}</dd>
          </div>
        </dl>
      </div>

      <section class="sheet" aria-label="Strategies">
        <div class="spread bar">
          <div class="search">
            <label class="sr" for={searchId}>
              Search by name, address or market
            </label>
            <div class="box">
              <input
                id={searchId}
                type="search"
                placeholder="Name, address or market"
                value={words}
                onInput={(event) => setWords(event.currentTarget.value)}
              />
            </div>
          </div>
          <p class="small quiet" role="status">
            {rows === undefined ? '' : words.trim() === '' ? '' : `${rows.length} of ${all?.length ?? 0} shown`}
          </p>
        </div>
        {query.error !== undefined && (
          <div class="pad">
            <Failure error={query.error} retry={query.refresh} />
          </div>
        )}
        {rows !== undefined && rows.length === 0 ? (
          words.trim() === '' ? (
            <Blank title="Nobody can be followed yet">
              <p>The first master to register appears here in the next block.</p>
              <a class="button" href="/register">
                Become a master
              </a>
            </Blank>
          ) : (
            <Blank title={`Nothing matches “${words.trim()}”`}>
              <button type="button" class="button" onClick={() => setWords('')}>
                Show all
              </button>
            </Blank>
          )
        ) : (
          !(query.error !== undefined && rows === undefined) && (
            <div class="scroll">
              <Table
                caption="Strategies that can be followed"
                columns={columnsFor(mine)}
                rows={rows}
                rowKey={(row) => row.id}
                sort={sort satisfies Sort}
                onSort={onSort}
                expected={4}
                links
              />
            </div>
          )
        )}
        {query.data?.more && (
          <div class="more">
            <span>Showing the first {all?.length}</span>
            <button type="button" class="button small" onClick={() => setPages((before) => before + 1)}>
              Show more
            </button>
          </div>
        )}
      </section>
      <p class="small quiet foot-note">
        Returns are time-weighted from the NAV record on chain, after fees. Point at a figure, or
        focus it, for its formula, window and sample count. Past results promise nothing.
      </p>
    </>
  );
}
