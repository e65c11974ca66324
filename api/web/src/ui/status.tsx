import type { JSX } from 'preact';
import { get, type Schemas } from '../api/client';
import { useQuery, type Query } from '../api/query';
import { stream, type Connection } from '../api/stream';
import { useDeployment } from '../chain/deployment';
import { duration, utc } from '../units/time';
import { useStore } from '../store';
import { chainName } from '../wallet/wallet';
import { useNow } from './hooks';
import { Alert, Check } from './icons';

type Health = Schemas['Health'];
type Status = Schemas['Status'];

export function useStatus(): Query<Status> {
  return useQuery('status', (signal) => get('/api/v1/status', { signal }), { everyMs: 5000 });
}

const WORDS: Readonly<Record<Health, string>> = { up: 'up', degraded: 'degraded', down: 'down', unknown: 'unknown' };

function HealthMark({ of, detail, words }: { readonly of: Health; readonly detail?: string | null | undefined; readonly words?: string }): JSX.Element {
  const good = of === 'up';
  return (
    <span class={good ? 'gain' : of === 'unknown' ? '' : 'loss'} title={detail ?? undefined}>
      {good ? <Check /> : <Alert />} {words ?? WORDS[of]}
      {detail && !good && <span class="sr">: {detail}</span>}
    </span>
  );
}

/** In whole seconds, so that it does not flicker. */
function age(time: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  return seconds === 0 ? 'under 1 s' : duration(seconds * 1000);
}

/** What a follower has to know now, wherever they are: that something is not working, and that leaving always does. */
export function Alarms({ status }: { readonly status: Query<Status> }): JSX.Element | null {
  const now = useNow(5000);
  const { data, error } = status;
  const alarms: string[] = [];
  if (error !== undefined) {
    alarms.push('The service does not answer, so what is shown here may be old. Your money is in your account on chain, and you can exit on your own at any time.');
  } else if (data !== undefined) {
    const until = data.system?.breakerUntil;
    if (until !== null && until !== undefined && Date.parse(until) > now) {
      alarms.push(`The breaker is on until ${utc(Date.parse(until))} UTC after many liquidations: nothing new is opened. Reducing and leaving work as ever.`);
    }
    if (data.keeper.health === 'down') {
      alarms.push('The keeper is not working: nothing is copied or relayed now. You can still exit on your own, which needs nobody.');
    }
    if (data.indexer.health === 'down') alarms.push('The indexer is not working: figures here are old. The audit page and your exit read the chain itself.');
  }
  if (alarms.length === 0) return null;
  return (
    <div class="alarms" role="alert">
      <ul class="wide">
        {alarms.map((alarm) => (
          <li key={alarm}>
            <Alert /> <span>{alarm}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

const CONNECTIONS: Readonly<Record<Exclude<Connection, 'idle'>, { readonly health: Health; readonly words: string }>> = {
  connecting: { health: 'unknown', words: 'connecting…' },
  live: { health: 'up', words: 'live' },
  lost: { health: 'degraded', words: 'connection lost, trying again' },
};

/** Whether what is shown moves by itself. Not every page has something that does. */
function Updates(): JSX.Element | null {
  const connection = useStore(stream().connection);
  if (connection === 'idle') return null;
  const { health, words } = CONNECTIONS[connection];
  return (
    <div>
      <dt>Updates</dt>
      <dd>
        <HealthMark of={health} words={words} />
      </dd>
    </div>
  );
}

/** How the chain, the indexer and the API are: at the foot of every page. */
export function StatusBar({ status }: { readonly status: Query<Status> }): JSX.Element {
  const { value: deployment } = useDeployment();
  const { data, error } = status;
  const cursor = data?.indexer.cursor;
  const now = useNow(1000);
  return (
    <footer class="foot">
      <div class="wide">
        <dl>
          <div>
            <dt>Network</dt>
            <dd>{deployment === undefined ? '…' : `${chainName(deployment.chainId)} (${deployment.chainId})`}</dd>
          </div>
          <div>
            <dt>Indexer</dt>
            <dd>
              {data === undefined ? (
                '…'
              ) : (
                <>
                  <HealthMark of={data.indexer.health} detail={data.indexer.detail} />
                  {cursor && (
                    <>
                      {' '}
                      at block {cursor.number}
                      {data.indexer.lagBlocks !== null && `, ${data.indexer.lagBlocks} behind`}, {age(Date.parse(cursor.time), now)} old
                    </>
                  )}
                </>
              )}
            </dd>
          </div>
          <div>
            <dt>Keeper</dt>
            <dd>{data === undefined ? '…' : <HealthMark of={data.keeper.health} detail={data.keeper.detail} />}</dd>
          </div>
          <div>
            <dt>API</dt>
            <dd>
              {error !== undefined ? <HealthMark of="down" detail={error.message} /> : data === undefined ? '…' : <HealthMark of="up" />}
              {data !== undefined && error === undefined && ` ${data.version}`}
            </dd>
          </div>
          <Updates />
        </dl>
        <span class="last">All times UTC</span>
      </div>
    </footer>
  );
}
