/** Every request that was handed to the relay: where it stands, why it was refused, and what helps. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get, type Schemas } from '../../api/client';
import { useQuery } from '../../api/query';
import { useTopic } from '../../api/stream';
import type { Mine, RelayRecord } from '../../session/me';
import { rejectionWords } from '../../units/rejections';
import { Explain } from '../../ui/explain';
import { Time } from '../../ui/figures';
import { List } from '../../ui/list';
import { Tag, TransactionLink, shorten, type Tone } from '../../ui/parts';
import type { Column } from '../../ui/table';

type Account = Schemas['AccountWithResult'];

/** Rows before “Show more”. */
const FIRST = 5;

const KINDS: Readonly<Record<Schemas['RelayKind'], string>> = {
  mandate: 'Deposit and bounds',
  update: 'New bounds',
  stop: 'Stop',
  withdraw: 'Withdrawal',
};

interface Standing {
  readonly tone: Tone | undefined;
  readonly short: string;
  readonly long: string;
}

function standing(record: RelayRecord): Standing {
  const { last } = record;
  switch (last.state) {
    case 'queued':
      return { tone: undefined, short: 'Waiting', long: 'The keeper has written it down and will send it with its next transaction.' };
    case 'submitted':
      return { tone: undefined, short: 'Sent', long: 'It is in a transaction that no block holds yet.' };
    case 'included':
      return { tone: 'good', short: 'Done', long: `In block ${last.block}.` };
    case 'rejected':
      return { tone: 'bad', short: rejectionWords(last.code, last.detail).short, long: `Refused with the code “${last.code}”. Nothing was moved.` };
    case 'unknown':
      return { tone: 'warn', short: 'Not known', long: 'The keeper did not answer: it may or may not have it. It is asked again by itself.' };
  }
}

function isOpen({ last }: RelayRecord): boolean {
  return last.state === 'queued' || last.state === 'submitted' || last.state === 'unknown';
}

/** Signing anew is a matter of the page that signs this kind. */
function again(record: RelayRecord, strategyId: string | undefined): JSX.Element | null {
  if (strategyId === undefined || (record.kind !== 'mandate' && record.kind !== 'update')) return null;
  return (
    <>
      {' '}
      <a href={`/strategies/${strategyId}/follow?vault=${record.vault}`}>To the bounds</a>
    </>
  );
}

function meaning(record: RelayRecord, strategyId: string | undefined, explorer: string | null | undefined): JSX.Element {
  const { last } = record;
  switch (last.state) {
    case 'queued':
      return <>Nothing to do: it is sent by itself.</>;
    case 'submitted':
      return (
        <>
          Waiting for a block: <TransactionLink hash={last.transaction} explorer={explorer} />
        </>
      );
    case 'included':
      return (
        <>
          Block {last.block}, <TransactionLink hash={last.transaction} explorer={explorer} />
        </>
      );
    case 'rejected': {
      const words = rejectionWords(last.code, last.detail);
      return (
        <>
          {words.why} <strong>{words.next}</strong>
          {again(record, strategyId)}
        </>
      );
    }
    case 'unknown':
      return (
        <>
          Look at the account before you sign anything new; the same signature is never carried out twice.
          {again(record, strategyId)}
        </>
      );
  }
}

/** Hears when one request moves on. */
function Listen({ id, heard }: { readonly id: string; readonly heard: () => void }): null {
  useTopic(`relay:${id}`, heard);
  return null;
}

interface Followable {
  readonly id: string;
  readonly name: string;
}

/** Strategies by vault. Most are known from the accounts; a first request that was refused has left none. */
function useStrategies(accounts: readonly Account[], relays: readonly RelayRecord[] | undefined): (vault: string) => Followable | undefined {
  const known = new Map<string, Followable>(accounts.map((account) => [account.vault.toLowerCase(), { id: account.strategyId, name: account.strategyName }]));
  const missing = relays?.some(({ vault }) => !known.has(vault.toLowerCase())) === true;
  const { data } = useQuery(missing ? 'strategies' : undefined, (signal) => get('/api/v1/strategies', { query: { limit: 200 }, signal }));
  for (const { id, name, vaults } of data?.items ?? []) for (const vault of vaults) known.set(vault.toLowerCase(), { id, name });
  return (vault) => known.get(vault.toLowerCase());
}

interface Props {
  readonly mine: Mine;
  readonly accounts: readonly Account[];
  readonly explorer: string | null | undefined;
}

export function Requests({ mine, accounts, explorer }: Props): JSX.Element {
  const [all, setAll] = useState(false);
  const relays = mine.data?.relays;
  // What is under way is shown however old it is.
  const rows = all ? relays : relays?.filter((record, index) => index < FIRST || isOpen(record));
  const hidden = (relays?.length ?? 0) - (rows?.length ?? 0);
  const strategyOf = useStrategies(accounts, relays);
  const columns: readonly Column<RelayRecord>[] = [
    { key: 'time', label: 'Sent', title: true, cell: (row) => <Time of={row.receivedAt} /> },
    { key: 'kind', label: 'Request', cell: (row) => KINDS[row.kind] },
    {
      key: 'strategy',
      label: 'Strategy',
      cell: (row) => {
        const strategy = strategyOf(row.vault);
        return strategy === undefined ? <code title={row.vault}>{shorten(row.vault)}</code> : <span class="anywhere">{mine.labelOf(row.vault) ?? strategy.name}</span>;
      },
    },
    {
      key: 'status',
      label: 'Status',
      cell: (row) => {
        const { tone, short, long } = standing(row);
        return (
          <Tag {...(tone === undefined ? {} : { tone })}>
            <Explain tip={long}>{short}</Explain>
          </Tag>
        );
      },
    },
    {
      key: 'next',
      long: true,
      label: 'What it means',
      cell: (row) => <div class="small prose">{meaning(row, strategyOf(row.vault)?.id, explorer)}</div>,
    },
  ];
  return (
    <section class="section" aria-labelledby="requests">
      <h2 id="requests">Requests you sent</h2>
      <List
        caption="Requests handed to the relay, newest first"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.id}
        error={mine.error}
        retry={mine.refresh}
        blank={{ title: 'No request yet', text: 'Whatever you sign and hand to the relay is listed here until it is in a block or refused, with the reason.' }}
        more={hidden > 0 ? { label: `Show ${hidden} more`, show: () => setAll(true) } : undefined}
      />
      {relays?.filter(isOpen).map(({ id }) => <Listen key={id} id={id} heard={mine.refresh} />)}
      <p class="small quiet foot-note">Only you see this list; the newest hundred are kept. What was carried out is on the chain for everyone.</p>
    </section>
  );
}
