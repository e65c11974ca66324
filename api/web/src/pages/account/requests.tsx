/** Every request that was handed to the relay: where it stands, why it was refused, and what helps. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Schemas } from '../../api/client';
import { useTopic } from '../../api/stream';
import type { Mine, RelayRecord } from '../../session/me';
import { rejectionWords } from '../../units/rejections';
import { Explain } from '../../ui/explain';
import { Time } from '../../ui/figures';
import { Blank, Failure, Tag, TransactionLink, shorten, type Tone } from '../../ui/parts';
import { Table, type Column } from '../../ui/table';

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
  const accountOf = (vault: string): Account | undefined => accounts.find((account) => account.vault.toLowerCase() === vault.toLowerCase());
  const columns: readonly Column<RelayRecord>[] = [
    { key: 'time', label: 'Sent', title: true, cell: (row) => <Time of={row.receivedAt} /> },
    { key: 'kind', label: 'Request', cell: (row) => KINDS[row.kind] },
    {
      key: 'strategy',
      label: 'Strategy',
      cell: (row) => {
        const account = accountOf(row.vault);
        return account === undefined ? <code title={row.vault}>{shorten(row.vault)}</code> : <span class="anywhere">{mine.labelOf(row.vault) ?? account.strategyName}</span>;
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
      label: 'What it means',
      cell: (row) => <div class="small prose">{meaning(row, accountOf(row.vault)?.strategyId, explorer)}</div>,
    },
  ];
  return (
    <section class="section" aria-labelledby="requests">
      <h2 id="requests">Requests you sent</h2>
      <div class="sheet">
        {mine.error !== undefined && (
          <div class="pad">
            <Failure error={mine.error} retry={mine.refresh} />
          </div>
        )}
        {rows !== undefined && rows.length === 0 ? (
          <Blank title="No request yet">
            <p>Whatever you sign and hand to the relay is listed here until it is in a block or refused, with the reason.</p>
          </Blank>
        ) : (
          !(mine.error !== undefined && rows === undefined) && (
            <div class="scroll">
              <Table caption="Requests handed to the relay, newest first" columns={columns} rows={rows} rowKey={(row) => row.id} />
            </div>
          )
        )}
        {hidden > 0 && (
          <div class="more">
            <span>{rows?.length} newest</span>
            <button type="button" class="button small" onClick={() => setAll(true)}>
              Show {hidden} more
            </button>
          </div>
        )}
      </div>
      {relays?.filter(isOpen).map(({ id }) => <Listen key={id} id={id} heard={mine.refresh} />)}
      <p class="small quiet foot-note">Only you see this list; the newest hundred are kept. What was carried out is on the chain for everyone.</p>
    </section>
  );
}
