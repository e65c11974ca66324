import type { JSX } from 'preact';
import { useRoute } from 'preact-iso';
import { useEffect, useState } from 'preact/hooks';
import { ApiError, get, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import { useTopic } from '../api/stream';
import { NavChart } from '../chart/nav-chart';
import { useDeployment } from '../chain/deployment';
import { useMe } from '../session/me';
import { WAD, abs, bpsMultiple, bpsPercent, format, fromApi } from '../units/amount';
import { duration, noticeStage } from '../units/time';
import { PROOFS, outcomeWords } from '../units/words';
import { Explain } from '../ui/explain';
import { Ago, Bps, Fact, Leverage, None, Price, Size, StatisticFigure, Time, Usdc } from '../ui/figures';
import { useNow, useTitle } from '../ui/hooks';
import { List, usePages } from '../ui/list';
import { Followed } from '../ui/session';
import { Address, Blank, Dialog, Failure, Loading, Notice, Skeleton, Tag, TransactionLink } from '../ui/parts';
import type { Column } from '../ui/table';

type Strategy = Schemas['Strategy'];
type Batch = Schemas['Batch'];
type WindowName = Schemas['WindowName'];

const BATCHES = 20;

const WINDOWS: readonly { readonly value: WindowName; readonly label: string; readonly words: string }[] = [
  { value: 'all', label: 'All', words: 'since inception' },
  { value: '30d', label: '30D', words: 'last 30 days' },
  { value: '7d', label: '7D', words: 'last 7 days' },
];

export function Strategy(): JSX.Element {
  const { params } = useRoute();
  const id = params['id'] ?? '';
  const [span, setSpan] = useState<WindowName>('all');
  const query = useQuery(
    `${id}:${span}`,
    (signal) => get('/api/v1/strategies/{id}', { path: { id }, query: { window: span }, signal }),
    { keep: true, everyMs: 30_000 },
  );
  useTopic(`strategy:${id}`, (event) => {
    if (event.kind === 'resync' || event.message.type === 'batch' || event.message.type === 'signal') query.refresh();
  });
  const strategy = query.data?.id === id ? query.data : undefined;
  useTitle(strategy?.name ?? 'Strategy');

  if (strategy === undefined && query.error !== undefined) {
    const missing = query.error instanceof ApiError && query.error.notFound;
    return (
      <div class="sheet">
        <h1 class="sr">Strategy {id}</h1>
        {missing ? (
          <Blank title={`There is no strategy ${id}`}>
            <p>If it was registered a moment ago it appears here with the next block the indexer has read.</p>
            <a class="button" href="/">
              To the masters
            </a>
          </Blank>
        ) : (
          <div class="pad">
            <Failure error={query.error} retry={query.refresh} />
          </div>
        )}
      </div>
    );
  }
  return <Shown id={id} strategy={strategy} span={span} setSpan={setSpan} />;
}

interface ShownProps {
  readonly id: string;
  readonly strategy: Strategy | undefined;
  readonly span: WindowName;
  readonly setSpan: (span: WindowName) => void;
}

function Shown({ id, strategy, span, setSpan }: ShownProps): JSX.Element {
  const [shard, setShard] = useState(0);
  const vault = strategy?.vaults[shard];
  const mine = useMe();
  return (
    <>
      <div class="head">
        <div>
          <h1>{strategy === undefined ? <Skeleton width="12ch" /> : strategy.name}</h1>
          <div class="row quiet sub">
            {strategy === undefined ? (
              <Skeleton width="40ch" />
            ) : (
              <>
                <span>
                  by <Address of={strategy.master} label="master’s address" />
                </span>
                <Tag>
                  <Explain tip={PROOFS[strategy.proof]?.long}>{PROOFS[strategy.proof]?.short ?? strategy.proof}</Explain>
                </Tag>
                <span>
                  {format(BigInt(strategy.followers), 0, { digits: 0 })} {strategy.followers === 1 ? 'follower' : 'followers'}
                </span>
                <span>
                  <Usdc of={strategy.totalEquity} /> under copy
                </span>
                <Followed as={mine.followedAs(id)} />
              </>
            )}
          </div>
        </div>
        <div class="row">
          <a class="button" href={`/audit?strategy=${id}`}>
            Audit the NAV
          </a>
          <a class="button main" href={`/strategies/${id}/follow`}>
            Follow
          </a>
        </div>
      </div>

      {strategy?.pendingTerms && <PendingTerms pending={strategy.pendingTerms} />}

      <div class="aside">
        <div class="stack">
          {strategy !== undefined && strategy.vaults.length > 1 && (
            <div class="choices" role="group" aria-label="Vault">
              {strategy.vaults.map((address, index) => (
                <button key={address} type="button" aria-pressed={index === shard} onClick={() => setShard(index)}>
                  Vault {index + 1}
                </button>
              ))}
            </div>
          )}
          <NavChart key={vault} strategyId={id} vault={vault} />
          <Statistics strategy={strategy} span={span} setSpan={setSpan} />
        </div>
        <div class="stack">
          <Positions strategy={strategy} />
          <TermsSheet strategy={strategy} />
        </div>
      </div>
      <Trades id={id} />
    </>
  );
}

function PendingTerms({ pending }: { readonly pending: Schemas['PendingTerms'] }): JSX.Element | null {
  const { terms } = pending;
  // The API drops terms that have lapsed; this page may stay open for longer than its last reply is true.
  const stage = noticeStage(pending, useNow(5000));
  if (stage === 'lapsed') return null;
  return (
    <div class="below">
      <Notice tone="warn">
        <p>
          <strong>New terms are announced</strong>{' '}
          {stage === 'notice' ? (
            <>
              and may apply from <Time of={pending.effectiveAt} />
            </>
          ) : (
            'and anyone may apply them now'
          )}
          : {bpsPercent(terms.copyFeeBps)} % of volume, {bpsPercent(terms.performanceFeeBps)} % of profit, up to{' '}
          {bpsMultiple(terms.maxLeverageBps)}× leverage. Followers who do not agree can leave {stage === 'notice' ? 'before then' : 'at any time'}. If
          nobody applies them until <Time of={pending.lapsesAt} />, they lapse and everything stays as it is.
        </p>
      </Notice>
    </div>
  );
}

function Statistics({ strategy, span, setSpan }: { readonly strategy: Strategy | undefined; readonly span: WindowName; readonly setSpan: (span: WindowName) => void }): JSX.Element {
  const figures = strategy?.statistics;
  return (
    <section class="section" aria-labelledby="statistics">
      <div class="spread">
        <h2 id="statistics">Statistics</h2>
        <div class="choices" role="group" aria-label="Window of the statistics">
          {WINDOWS.map((each) => (
            <button key={each.value} type="button" aria-pressed={each.value === span} onClick={() => setSpan(each.value)}>
              <span aria-hidden="true">{each.label}</span>
              <span class="sr">{each.words}</span>
            </button>
          ))}
        </div>
      </div>
      <dl class="figures sheet">
        {figures === undefined ? (
          Array.from({ length: 12 }, (_none, index) => (
            <div key={index}>
              <dt>
                <Skeleton width="10ch" />
              </dt>
              <dd>
                <Skeleton width="7ch" />
              </dd>
            </div>
          ))
        ) : (
          <>
            <StatisticFigure label="Return" of={figures.totalReturn} coloured sign />
            <StatisticFigure label="Max. drawdown" of={figures.maxDrawdown} />
            <StatisticFigure label="Sharpe" of={figures.sharpe} />
            <StatisticFigure label="Sortino" of={figures.sortino} />
            <StatisticFigure label="Volatility" of={figures.volatility} />
            <StatisticFigure label="Win rate" of={figures.winRate} />
            <StatisticFigure label="Profit factor" of={figures.profitFactor} />
            <StatisticFigure label="Realised" of={figures.realised} coloured sign />
            <StatisticFigure label="Mean slippage" of={figures.slippage} />
            <StatisticFigure label="Mean delay" of={figures.delay} />
            <StatisticFigure label="Longest delay" of={figures.maxDelay} />
            <StatisticFigure label="Lines moved" of={figures.movedShare} />
            <StatisticFigure label="Volume" of={figures.volume} />
            <StatisticFigure label="Trading fees" of={figures.fees} />
            <StatisticFigure label="Performance fees" of={figures.performanceFees} />
          </>
        )}
      </dl>
    </section>
  );
}

function Positions({ strategy }: { readonly strategy: Strategy | undefined }): JSX.Element {
  return (
    <section class="sheet pad" aria-labelledby="positions">
      <h2 id="positions">Master’s positions</h2>
      <dl class="facts">
        {strategy === undefined ? (
          <div>
            <dt>
              <Skeleton />
            </dt>
            <dd>
              <Skeleton />
            </dd>
          </div>
        ) : (
          strategy.markets.map((market) => {
            const leverage = market.signal ? fromApi(market.signal.leverage, WAD) : 0n;
            return (
              <div key={market.index}>
                <dt>
                  <span class="ink">{market.symbol}</span>
                  {market.signal && (
                    <div class="small">
                      seen <Ago of={market.signal.observedAt} />
                    </div>
                  )}
                </dt>
                <dd>
                  {!market.signal ? (
                    <None why="no signal yet" />
                  ) : leverage === 0n ? (
                    <span class="quiet">flat</span>
                  ) : (
                    <>
                      <span class={leverage > 0n ? 'gain' : 'loss'}>{leverage > 0n ? '▲ long' : '▼ short'}</span> <Leverage of={abs(leverage)} />
                    </>
                  )}
                </dd>
              </div>
            );
          })
        )}
      </dl>
      <p class="small quiet foot-note">
        Position notional ÷ the master’s equity. Followers’ sizes are computed from this by the contract, each inside its own bounds.
      </p>
    </section>
  );
}

function TermsSheet({ strategy }: { readonly strategy: Strategy | undefined }): JSX.Element {
  const { value: deployment } = useDeployment();
  const terms = strategy?.terms;
  if (strategy === undefined || terms === undefined) {
    return (
      <section class="sheet pad">
        <h2>Terms</h2>
        <Loading what="terms" />
      </section>
    );
  }
  return (
    <section class="sheet pad" aria-labelledby="terms">
      <h2 id="terms">Terms</h2>
      <dl class="facts">
        <Fact label="Copy fee" tip="Of the notional of every copied trade. A fifth goes to the insurance fund, and a bounded part to whoever sends the batch.">
          {bpsPercent(terms.copyFeeBps)} <span class="unit">% of volume</span>
        </Fact>
        <Fact label="Performance fee" tip="Only of profit above your account’s own high-water mark.">
          {bpsPercent(terms.performanceFeeBps)} <span class="unit">% of profit</span>
        </Fact>
        <Fact label="Most leverage" tip="No follower is ever taken above this; your own bound may be lower.">
          {bpsMultiple(terms.maxLeverageBps)} <span class="unit">×</span>
        </Fact>
        <Fact label="Most slippage" tip="A batch whose average price is further off the index price than this reverts as a whole.">
          {bpsPercent(terms.maxSlippageBps)} <span class="unit">%</span>
        </Fact>
        <Fact label="Dead band" tip="A move smaller than this share of your position is not made, so that fees are not spent on noise.">
          {bpsPercent(terms.deadBandBps)} <span class="unit">% of position</span>
        </Fact>
        <Fact label="Smallest trade" tip="Smaller orders are left until the difference is large enough.">
          <Usdc of={terms.minTradeNotional} />
        </Fact>
        <Fact label="Capacity" tip="Gross open notional of the vault at which nothing is increased any more.">
          <Usdc of={terms.maxOpenNotional} digits={0} />
        </Fact>
        <Fact label="Disclosure delay" tip="How long the feed here holds the master’s signals back. The batch itself is on chain at once, for everyone to see.">
          {terms.disclosureDelaySeconds === 0 ? 'none' : duration(terms.disclosureDelaySeconds * 1000)}
        </Fact>
        {strategy.source && (
          <Fact label="Account read" tip="The on-chain account whose positions the contract reads itself.">
            <Address of={strategy.source} label="source account" />
          </Fact>
        )}
        {strategy.vaults.map((vault, index) => (
          <Fact key={vault} label={strategy.vaults.length > 1 ? `Vault ${index + 1}` : 'Vault'} tip="The contract that holds followers’ accounts. Only you can take out what is yours.">
            {deployment?.explorerUrl ? (
              <a href={`${deployment.explorerUrl}/address/${vault}`} target="_blank" rel="noreferrer">
                <code>
                  {vault.slice(0, 6)}…{vault.slice(-4)}
                </code>
              </a>
            ) : (
              <Address of={vault} label="vault’s address" />
            )}
          </Fact>
        ))}
        <Fact label="Registered">
          <Time of={strategy.registeredAt} dateOnly />
        </Fact>
      </dl>
      <p class="small quiet foot-note">Changes of terms wait out a notice period, in which followers can leave.</p>
    </section>
  );
}

function Trades({ id }: { readonly id: string }): JSX.Element {
  const { value: deployment } = useDeployment();
  const [selected, setSelected] = useState<Batch>();
  const query = usePages<Batch>(id, (cursor, signal) => get('/api/v1/strategies/{id}/batches', { path: { id }, query: { limit: BATCHES, ...cursor }, signal }));
  const [fresh, setFresh] = useState<readonly Batch[]>([]);
  useTopic(`strategy:${id}`, (event) => {
    if (event.kind === 'resync') {
      setFresh([]);
      query.refresh();
    } else if (event.message.type === 'batch') {
      const { batch } = event.message;
      setFresh((before) => [batch, ...before.filter((each) => each.id !== batch.id)]);
    } else if (event.message.type === 'signal') query.refresh();
  });
  useEffect(() => setFresh([]), [id]);

  const known = new Set(query.data?.items.map((batch) => batch.id));
  const rows = query.data === undefined ? undefined : [...fresh.filter((batch) => !known.has(batch.id)), ...query.data.items];
  const columns: readonly Column<Batch>[] = [
    {
      key: 'time',
      label: 'Time',
      title: true,
      cell: (row) => (
        <div>
          <Time of={row.at.time} />
          <div class="small quiet">
            <button type="button" class="text" onClick={() => setSelected(row)} aria-label={`Details of batch ${row.number}`}>
              Batch {row.number}
            </button>{' '}
            · block {row.at.block}
          </div>
        </div>
      ),
    },
    {
      key: 'signal',
      label: 'Signal',
      cell: (row) => (
        <div>
          {row.symbol}
          <div class="small">
            {row.signal ? (
              <SignalWords leverage={row.signal.leverage} />
            ) : (
              <span class="quiet">
                disclosed <Ago of={row.disclosedAt} />
              </span>
            )}
          </div>
        </div>
      ),
    },
    {
      key: 'size',
      label: 'Traded',
      numeric: true,
      head: <Explain tip="What went to the venue, net of all followers; below it what met inside the batch and paid no venue fee.">Traded</Explain>,
      cell: (row) => (
        <div>
          <Size of={row.netSize} symbol={row.symbol} sign />
          {fromApi(row.crossedSize, WAD) !== 0n && (
            <div class="small quiet">
              <Size of={row.crossedSize} symbol={row.symbol} /> crossed
            </div>
          )}
        </div>
      ),
    },
    {
      key: 'price',
      label: 'Fill price',
      numeric: true,
      head: <Explain tip="The one price of everyone in the batch; below it the venue’s index price at that moment.">Fill price</Explain>,
      cell: (row) => (
        <div>
          <Price of={row.fillPrice} />
          <div class="small quiet">
            index <Price of={row.indexPrice} />
          </div>
        </div>
      ),
    },
    {
      key: 'slippage',
      label: 'Slippage',
      numeric: true,
      head: <Explain tip="Distance of the fill price from the index price. Positive is against the followers.">Slippage</Explain>,
      cell: (row) => <Bps of={row.slippageBps} />,
    },
    {
      key: 'delay',
      label: 'Delay',
      numeric: true,
      head: <Explain tip="From the master’s state being seen to the block of the batch.">Delay</Explain>,
      cell: (row) => (row.signal ? duration(row.signal.delayMs) : <None why="not disclosed yet" />),
    },
    {
      key: 'moved',
      label: 'Moved / skipped',
      numeric: true,
      head: <Explain tip="Followers whose position changed, and followers that were left alone. Details say why for each.">Moved / skipped</Explain>,
      cell: (row) => (
        <span>
          {row.moved} / {row.skipped}
        </span>
      ),
    },
  ];
  return (
    <section class="section trades" aria-labelledby="trades">
      <h2 id="trades">Trades</h2>
      <List
        caption="Batches of this strategy, newest first"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.id}
        expected={5}
        error={query.error}
        retry={query.refresh}
        blank={{ title: 'No trade yet', text: 'The first batch appears here by itself, with its price, slippage, delay and who was moved.' }}
        more={query.data?.next ? { label: 'Show more', show: query.more } : undefined}
      />
      <Dialog title={selected === undefined ? '' : `Batch ${selected.number}`} open={selected !== undefined} close={() => setSelected(undefined)}>
        {selected !== undefined && <BatchDetail id={id} batch={selected} explorer={deployment?.explorerUrl} />}
      </Dialog>
    </section>
  );
}

function SignalWords({ leverage }: { readonly leverage: string }): JSX.Element {
  const value = fromApi(leverage, WAD);
  if (value === 0n) return <span class="quiet">close</span>;
  return (
    <>
      <span class={value > 0n ? 'gain' : 'loss'}>{value > 0n ? '▲ long' : '▼ short'}</span> <Leverage of={abs(value)} />
    </>
  );
}

function BatchDetail({ id, batch, explorer }: { readonly id: string; readonly batch: Batch; readonly explorer: string | null | undefined }): JSX.Element {
  const query = useQuery(batch.id, (signal) =>
    get('/api/v1/strategies/{id}/batches/{vault}/{number}', { path: { id, vault: batch.vault, number: batch.number }, signal }),
  );
  return (
    <>
      <dl class="facts">
        <Fact label="Market">{batch.symbol}</Fact>
        <Fact label="Volume" tip="Sum of every follower’s traded size × the batch price.">
          <Usdc of={batch.volume} />
        </Fact>
        <Fact label="Venue fee">
          <Usdc of={batch.venueFee} />
        </Fact>
        <Fact label="Copy fee">
          <Usdc of={batch.copyFee} />
        </Fact>
        <Fact label="Transaction">
          <TransactionLink hash={batch.at.transaction} explorer={explorer} />
        </Fact>
      </dl>
      <h3>What happened to the followers</h3>
      {query.error !== undefined ? (
        <Failure error={query.error} retry={query.refresh} />
      ) : query.data === undefined ? (
        <Loading what="outcomes" />
      ) : (
        <dl class="facts">
          {query.data.outcomes.map(({ outcome, count }) => {
            const words = outcomeWords(outcome);
            return (
              <Fact key={outcome} label={words.short} tip={words.long}>
                {count} <span class="unit">{count === 1 ? 'follower' : 'followers'}</span>
              </Fact>
            );
          })}
        </dl>
      )}
    </>
  );
}
