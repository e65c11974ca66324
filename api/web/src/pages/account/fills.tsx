import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get, url, type Schemas } from '../../api/client';
import { SIZE, fromApi } from '../../units/amount';
import { duration } from '../../units/time';
import { CAUSES, outcomeWords } from '../../units/words';
import { Explain } from '../../ui/explain';
import { Ago, Bps, None, Price, Size, Time, Usdc } from '../../ui/figures';
import { List, usePages } from '../../ui/list';
import { Tag, TransactionLink } from '../../ui/parts';
import type { Column } from '../../ui/table';

type Account = Schemas['AccountWithResult'];
type Fill = Schemas['Fill'];

const FILLS = 25;

interface Props {
  readonly address: string;
  readonly accounts: readonly Account[];
  /** The owner's own name for the account in a vault. */
  readonly labelOf: (vault: string) => string | undefined;
  readonly turn: number;
  readonly explorer: string | null | undefined;
}

export function Fills({ address, accounts, labelOf, turn, explorer }: Props): JSX.Element {
  const [skipped, setSkipped] = useState(true);
  const [vault, setVault] = useState('');
  const filter = { skipped, ...(vault === '' ? {} : { vault }) };
  const query = usePages<Fill>(`${address}:${String(skipped)}:${vault}:${turn}`, (cursor, signal) =>
    get('/api/v1/accounts/{address}/fills', { path: { address }, query: { ...filter, limit: FILLS, ...cursor }, signal }),
  );
  const rows = query.data?.items;
  const names = new Map(accounts.map((account) => [account.strategyId, account.strategyName]));
  const columns: readonly Column<Fill>[] = [
    {
      key: 'time',
      label: 'Time',
      title: true,
      cell: (row) => (
        <div>
          <Time of={row.at.time} />
          <div class="small quiet">
            {labelOf(row.vault) ?? names.get(row.strategyId) ?? `strategy ${row.strategyId}`} · <TransactionLink hash={row.at.transaction} explorer={explorer} />
          </div>
        </div>
      ),
    },
    { key: 'market', label: 'Market', cell: (row) => <span class="nowrap">{row.symbol}</span> },
    {
      key: 'outcome',
      label: 'What happened',
      cell: (row) => {
        const words = row.outcome ? outcomeWords(row.outcome) : (CAUSES[row.cause] ?? outcomeWords(row.cause));
        return (
          <Tag {...(words.kind === 'held' ? { tone: 'warn' as const } : words.kind === 'moved' ? { tone: 'good' as const } : {})}>
            <Explain tip={words.long}>{words.short}</Explain>
          </Tag>
        );
      },
    },
    {
      key: 'size',
      label: 'Size',
      numeric: true,
      cell: (row) => (fromApi(row.sizeDelta, SIZE) === 0n ? <None why="not moved" /> : <Size of={row.sizeDelta} symbol={row.symbol} sign />),
    },
    {
      key: 'price',
      label: 'Price',
      numeric: true,
      cell: (row) =>
        fromApi(row.sizeDelta, SIZE) === 0n ? (
          <None why="not moved" />
        ) : (
          <div>
            <Price of={row.fillPrice} />
            <div class="small quiet">
              <Bps of={row.slippageBps} /> off index
            </div>
          </div>
        ),
    },
    {
      key: 'delay',
      label: 'Delay',
      numeric: true,
      cell: (row) => (row.delayMs === null || row.delayMs === undefined ? <None why="not from a disclosed signal" /> : duration(row.delayMs)),
    },
    { key: 'fee', label: 'Fees', numeric: true, cell: (row) => <Usdc of={row.fee} /> },
    {
      key: 'realised',
      label: 'Realised',
      numeric: true,
      cell: (row) => <Usdc of={row.realised} coloured sign />,
    },
  ];
  return (
    <section class="section" aria-labelledby="fills">
      <div class="spread">
        <h2 id="fills">Every fill, and why there was none</h2>
        <div class="row">
          {accounts.length > 1 && (
            <div class="box short">
              <select aria-label="Account" value={vault} onChange={(event) => setVault(event.currentTarget.value)}>
                <option value="">All accounts</option>
                {accounts.map((account) => (
                  <option key={account.id} value={account.vault}>
                    {labelOf(account.vault) ?? account.strategyName}
                  </option>
                ))}
              </select>
            </div>
          )}
          <label class="check">
            <input type="checkbox" checked={skipped} onChange={(event) => setSkipped(event.currentTarget.checked)} />
            Show skipped
          </label>
          <a class="button small" href={url('/api/v1/accounts/{address}/fills.csv', { address }, filter)} download>
            CSV
          </a>
        </div>
      </div>
      <List
        caption="Fills and skipped lines, newest first"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.id}
        error={query.error}
        retry={query.refresh}
        blank={{ title: 'Nothing yet', text: 'The first batch that names your account appears here, with its price, or with the reason it left you alone.' }}
        more={query.data?.next ? { label: 'Show more', show: query.more } : undefined}
      />
      <p class="small quiet foot-note">
        Times are the block’s. {rows?.[0] && (<>The newest line is <Ago of={rows[0].at.time} />.</>)}
      </p>
    </section>
  );
}
