import type { JSX } from 'preact';
import { useLocation, useRoute } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { getAddress } from 'viem';
import { get, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import {
  compareRecords,
  fromApiPoint,
  readChainRecord,
  readIndexerRecord,
  type Comparison,
  type RecordPoint,
  type Summary,
  type Verdict,
} from '../chain/audit';
import { useDeployment, type Deployment } from '../chain/deployment';
import { chainClient } from '../chain/read';
import { USDC, WAD, toDecimal } from '../units/amount';
import { utc } from '../units/time';
import { messageOf } from '../wallet/errors';
import { SelectField } from '../ui/fields';
import { useTitle } from '../ui/hooks';
import { Alert, Check, Info } from '../ui/icons';
import { Blank, CopyButton, Failure, Loading, Notice } from '../ui/parts';
import { Table, type Column } from '../ui/table';

type Strategy = Schemas['Strategy'];

const PAGE = 50;

export function Audit(): JSX.Element {
  useTitle('Audit');
  const { query } = useRoute();
  const { route } = useLocation();
  const deployment = useDeployment();
  const list = useQuery('strategies', async (signal) => (await get('/api/v1/strategies', { query: { limit: 200 }, signal })).items);
  const asked = query['strategy'];
  const listed = list.data?.find(({ id }) => id === asked);
  // The list holds the largest ones; another that was asked for is read by itself.
  const single = useQuery(list.data !== undefined && asked !== undefined && listed === undefined ? `strategy ${asked}` : undefined, (signal) =>
    get('/api/v1/strategies/{id}', { path: { id: asked ?? '' }, query: {}, signal }),
  );
  const chosen = asked === undefined ? list.data?.[0] : (listed ?? single.data);
  const choices = chosen === undefined || listed !== undefined || asked === undefined ? list.data : [...(list.data ?? []), chosen];
  const vault = chosen?.vaults.find((address) => address === query['vault']) ?? chosen?.vaults[0];
  const error = list.error ?? deployment.error ?? single.error;
  const retry = list.error !== undefined ? list.refresh : deployment.error !== undefined ? deployment.retry : single.refresh;
  return (
    <>
      <div class="head">
        <div>
          <h1>Audit</h1>
          <p>
            Every point of a NAV record is in the vault’s own storage. This page reads them from the chain in your browser, without our
            servers, and holds each beside the figure our indexer shows.
          </p>
        </div>
      </div>
      {error !== undefined ? (
        <Failure error={error} retry={retry} />
      ) : choices === undefined || single.loading || deployment.value === undefined ? (
        <Loading what="the strategies" framed />
      ) : chosen === undefined || vault === undefined ? (
        <div class="sheet">
          <Blank title="There is nothing to audit yet">
            <p>Once a master has registered, the strategy’s NAV record can be checked here.</p>
          </Blank>
        </div>
      ) : (
        <div class="stack">
          <div class="fields sheet pad">
            <SelectField
              label="Strategy"
              name="strategy"
              value={chosen.id}
              change={(id) => route(`/audit?strategy=${id}`, true)}
              options={choices.map((each) => ({ value: each.id, label: each.name }))}
            />
            {chosen.vaults.length > 1 && (
              <SelectField
                label="Vault"
                name="vault"
                value={vault}
                change={(address) => route(`/audit?strategy=${chosen.id}&vault=${address}`, true)}
                options={chosen.vaults.map((address, index) => ({ value: address, label: `Vault ${index + 1}` }))}
              />
            )}
          </div>
          <Report key={vault} strategy={chosen} vault={vault} deployment={deployment.value} />
          <ByYourself vault={vault} deployment={deployment.value} />
        </div>
      )}
    </>
  );
}

interface Result {
  readonly block: bigint;
  readonly at: number;
  readonly rows: readonly Comparison[];
  readonly summary: Summary;
}

function Report({ strategy, vault, deployment }: { readonly strategy: Strategy; readonly vault: string; readonly deployment: Deployment }): JSX.Element {
  const [result, setResult] = useState<Result>();
  const [progress, setProgress] = useState<{ readonly done: number; readonly of: number }>();
  const [error, setError] = useState<Error>();
  const abort = useRef<AbortController | undefined>(undefined);

  async function run(): Promise<void> {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    setError(undefined);
    setProgress({ done: 0, of: 0 });
    try {
      // The chain first: what the indexer then knows is at least as new, so a point it lacks is really missing.
      const chain = await readChainRecord(chainClient(deployment), getAddress(vault), (done, of) => {
        if (!signal.aborted) setProgress({ done, of });
      }, signal);
      const indexer = await readIndexerRecord(
        (window) => get('/api/v1/strategies/{id}/nav', { path: { id: strategy.id }, query: { vault, points: 5000, ...window }, signal }),
        signal,
      );
      if (signal.aborted) return;
      setResult({ block: chain.block, at: Date.now(), ...compareRecords(chain.points, indexer.map(fromApiPoint)) });
    } catch (reason) {
      if (!signal.aborted) setError(reason instanceof Error ? reason : new Error(messageOf(reason)));
    } finally {
      if (!signal.aborted) setProgress(undefined);
    }
  }

  useEffect(() => {
    void run();
    return () => abort.current?.abort();
  }, [vault]);

  return (
    <section class="stack" aria-label="Comparison">
      <div class="sheet pad spread" role="status" data-testid="audit-summary">
        {progress !== undefined ? (
          <p>
            Reading the chain: {progress.done} of {progress.of} points…
            <progress class="bar-progress" max={Math.max(1, progress.of)} value={progress.done} aria-hidden="true" />
          </p>
        ) : result === undefined ? (
          <p class="quiet">Not compared yet.</p>
        ) : (
          <Verdicts result={result} />
        )}
        <button type="button" class="button" disabled={progress !== undefined} onClick={() => void run()}>
          Read again
        </button>
      </div>
      {error !== undefined && <Failure error={error} retry={() => void run()} />}
      {result !== undefined && <Rows rows={result.rows} />}
    </section>
  );
}

function Verdicts({ result }: { readonly result: Result }): JSX.Element {
  const { summary } = result;
  const good = summary.disagree === 0;
  return (
    <div class="verdict">
      <span class={good ? 'gain' : 'loss'}>{good ? <Check /> : <Alert />}</span>
      <div>
        <strong>
          {summary.equal} of {summary.compared} equal
        </strong>
        {!good && <span class="loss">, {summary.disagree} not equal</span>}
        <div class="small quiet">
          Read from the chain at block {result.block.toString()}, {utc(result.at)} UTC.
          {summary.newer > 0 && ` ${summary.newer} newer ${summary.newer === 1 ? 'point has' : 'points have'} been recorded since and are left out.`}
        </div>
      </div>
    </div>
  );
}

const VERDICTS: Readonly<Record<Verdict, { readonly word: string; readonly tone: string; readonly Mark: () => JSX.Element }>> = {
  equal: { word: 'equal', tone: 'gain', Mark: Check },
  different: { word: 'not equal', tone: 'loss', Mark: Alert },
  missing: { word: 'missing', tone: 'loss', Mark: Alert },
  newer: { word: 'newer', tone: 'quiet', Mark: Info },
};

function Both({ chain, indexer, show }: { readonly chain: RecordPoint | undefined; readonly indexer: RecordPoint | undefined; readonly show: (point: RecordPoint) => string }): JSX.Element {
  const a = chain === undefined ? '–' : show(chain);
  const b = indexer === undefined ? '–' : show(indexer);
  return (
    <div class="both mono">
      <div>{a}</div>
      <div class={a === b ? 'quiet' : 'loss'}>{b}</div>
    </div>
  );
}

const COLUMNS: readonly Column<Comparison>[] = [
  {
    key: 'index',
    label: 'Point',
    title: true,
    cell: (row) => (
      <div class="small">
        <strong class="ink">{row.index}</strong>
      </div>
    ),
  },
  {
    key: 'source',
    label: 'Read from',
    cell: () => (
      <div class="both small">
        <div>chain</div>
        <div class="quiet">indexer</div>
      </div>
    ),
  },
  {
    key: 'time',
    label: 'Time, UTC',
    numeric: true,
    cell: (row) => <Both chain={row.chain} indexer={row.indexer} show={(point) => utc(Number(point.time) * 1000)} />,
  },
  {
    key: 'nav',
    label: 'NAV index',
    numeric: true,
    cell: (row) => <Both chain={row.chain} indexer={row.indexer} show={(point) => toDecimal(point.navIndex, WAD)} />,
  },
  {
    key: 'equity',
    label: 'Total equity, USDC',
    numeric: true,
    cell: (row) => <Both chain={row.chain} indexer={row.indexer} show={(point) => toDecimal(point.totalEquity, USDC)} />,
  },
  {
    key: 'verdict',
    label: 'Verdict',
    cell: (row) => {
      const { word, tone, Mark } = VERDICTS[row.verdict];
      return (
        <span class={`nowrap ${tone}`}>
          <Mark /> {word}
        </span>
      );
    },
  },
];

function Rows({ rows }: { readonly rows: readonly Comparison[] }): JSX.Element {
  const [only, setOnly] = useState(false);
  const [pages, setPages] = useState(1);
  // The newest first, and before them whatever does not agree.
  const bad = rows.filter((row) => row.verdict === 'different' || row.verdict === 'missing');
  const rest = rows.filter((row) => row.verdict === 'equal' || row.verdict === 'newer').reverse();
  const ordered = only ? bad : [...bad, ...rest];
  return (
    <div class="sheet">
      <div class="spread bar">
        <span class="small quiet">{rows.length} points, exact to the last digit</span>
        <label class="check">
          <input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} />
          Only what is not equal
        </label>
      </div>
      {ordered.length === 0 ? (
        <Blank title={rows.length === 0 ? 'The vault has not recorded a NAV point yet' : 'Every point is equal'} />
      ) : (
        <div class="scroll">
          <Table caption="NAV points as the chain and as the indexer have them" columns={COLUMNS} rows={ordered.slice(0, pages * PAGE)} rowKey={(row) => String(row.index)} />
        </div>
      )}
      {ordered.length > pages * PAGE && (
        <div class="more">
          <span>
            {pages * PAGE} of {ordered.length} shown; all {rows.length} were compared
          </span>
          <button type="button" class="button small" onClick={() => setPages((before) => before + 1)}>
            Show more
          </button>
        </div>
      )}
    </div>
  );
}

function Command({ text }: { readonly text: string }): JSX.Element {
  return (
    <div class="command">
      <pre class="raw">{text}</pre>
      <CopyButton text={text} what="command" />
    </div>
  );
}

function ByYourself({ vault, deployment }: { readonly vault: string; readonly deployment: Deployment }): JSX.Element {
  const rpc = deployment.rpcUrl ?? '$RPC_URL';
  return (
    <section class="sheet pad stack tight" aria-labelledby="yourself">
      <h2 id="yourself">Do it by yourself</h2>
      <p class="quiet">
        You need not believe this page either. With Foundry’s <code>cast</code> and any node of the chain:
      </p>
      <Command text={`cast call ${vault} 'navCount()(uint256)' --rpc-url ${rpc}`} />
      <Command text={`cast call ${vault} 'navAt(uint256)(uint64,uint256,uint256)' 0 --rpc-url ${rpc}`} />
      <p class="small quiet">
        The second prints time (unix seconds), NAV index (18 decimals) and total equity (USDC, 6 decimals) of point 0.
      </p>
      {deployment.rpcUrl === null && (
        <Notice tone="warn">This service publishes no node address; put that of one you trust in place of $RPC_URL.</Notice>
      )}
    </section>
  );
}
