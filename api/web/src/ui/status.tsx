import type { JSX } from 'preact';
import { get, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import { useDeployment } from '../chain/deployment';
import { duration } from '../units/time';
import { chainName } from '../wallet/wallet';
import { useNow } from './hooks';
import { Alert, Check } from './icons';

type Health = Schemas['Health'];

const WORDS: Readonly<Record<Health, string>> = { up: 'up', degraded: 'degraded', down: 'down', unknown: 'unknown' };

function HealthMark({ of, detail }: { readonly of: Health; readonly detail?: string | null | undefined }): JSX.Element {
  const good = of === 'up';
  return (
    <span class={good ? 'gain' : of === 'unknown' ? '' : 'loss'} title={detail ?? undefined}>
      {good ? <Check /> : <Alert />} {WORDS[of]}
      {detail && !good && <span class="sr">: {detail}</span>}
    </span>
  );
}

/** In whole seconds, so that it does not flicker. */
function age(time: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  return seconds === 0 ? 'under 1 s' : duration(seconds * 1000);
}

/** How the chain, the indexer and the API are: at the foot of every page. */
export function StatusBar(): JSX.Element {
  const { value: deployment } = useDeployment();
  const status = useQuery('status', (signal) => get('/api/v1/status', { signal }), { everyMs: 5000 });
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
        </dl>
        <span class="last">All times UTC</span>
      </div>
    </footer>
  );
}
