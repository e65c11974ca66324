/** Stop and withdraw: signed here, carried by the relay, without gas. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { getAddress } from 'viem';
import { get, type Schemas } from '../../api/client';
import type { Deployment } from '../../chain/deployment';
import type { LiveAccount } from '../../chain/read';
import { relay, sendIntent, signStop, signWithdraw, until } from '../../chain/relay';
import { ALL } from '../../chain/typed-data';
import { USDC, parseTyped, usdc } from '../../units/amount';
import { messageOf, toWalletError } from '../../wallet/errors';
import type { ConnectedWallet } from '../../wallet/wallet';
import { NumberField, RadioField } from '../../ui/fields';
import { Notice, Progress, TransactionLink, stepsOf } from '../../ui/parts';

type Account = Schemas['AccountWithResult'];

type RelayPhase = 'ask' | 'sign' | 'send' | 'queued' | 'submitted' | 'included' | 'done';
const RELAY_ORDER: readonly RelayPhase[] = ['sign', 'send', 'queued', 'submitted', 'included', 'done'];

interface RelayRun {
  readonly phase: RelayPhase;
  readonly error: Error | undefined;
  readonly transaction: string | undefined;
  readonly run: (sign: () => Promise<Schemas['SignedIntent']>, settled: (signal: AbortSignal) => Promise<unknown>) => void;
}

function useRelay(): RelayRun {
  const [phase, setPhase] = useState<RelayPhase>('ask');
  const [error, setError] = useState<Error>();
  const [transaction, setTransaction] = useState<string>();
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  return {
    phase,
    error,
    transaction,
    run: (sign, settled) => {
      abort.current?.abort();
      const controller = new AbortController();
      abort.current = controller;
      setError(undefined);
      setPhase('sign');
      (async () => {
        const signed = await sign();
        setPhase('send');
        const included = await relay(
          () => sendIntent(signed),
          (status) => {
            if (status.state === 'queued' || status.state === 'submitted') setPhase(status.state);
            if (status.state === 'submitted') setTransaction(status.transaction);
          },
          controller.signal,
        );
        setTransaction(included.transaction);
        setPhase('included');
        await settled(controller.signal);
        setPhase('done');
      })().catch((reason: unknown) => {
        if (!controller.signal.aborted) setError(reason instanceof Error ? reason : new Error(messageOf(reason)));
      });
    },
  };
}

function RelaySteps({ state, what, last, explorer }: { readonly state: RelayRun; readonly what: string; readonly last: string; readonly explorer: string | null | undefined }): JSX.Element {
  const step = stepsOf(RELAY_ORDER, state.phase, state.error !== undefined);
  return (
    <>
      <Progress
        steps={[
          step(`Sign the ${what}`, ['sign'], 'In your wallet. No transaction, no gas.'),
          step('Hand to the relay', ['send', 'queued']),
          step('In a transaction', ['submitted'], state.transaction === undefined ? undefined : <TransactionLink hash={state.transaction} explorer={explorer} />),
          step(last, ['included']),
        ]}
      />
      {state.error !== undefined && (
        <Notice tone={toWalletError(state.error).declined ? 'warn' : 'bad'} live>
          {state.error.message}
        </Notice>
      )}
    </>
  );
}

function RelayButtons({ state, what, start, done }: { readonly state: RelayRun; readonly what: string; readonly start: () => void; readonly done: () => void }): JSX.Element {
  return (
    <div class="row end">
      <button type="button" class="button" onClick={done}>
        {state.phase === 'done' ? 'Close' : 'Cancel'}
      </button>
      {(state.phase === 'ask' || state.error !== undefined) && (
        <button type="button" class="button main" onClick={start}>
          {state.error === undefined ? `Sign the ${what}` : 'Try again'}
        </button>
      )}
    </div>
  );
}

interface IntentProps {
  readonly account: Account;
  readonly wallet: ConnectedWallet;
  readonly deployment: Deployment;
  readonly done: () => void;
}

/** The account as the indexer has it now. */
async function readAccount(account: Account, signal: AbortSignal): Promise<Account | undefined> {
  const reply = await get('/api/v1/accounts/{address}', { path: { address: account.follower }, signal });
  return reply.accounts.find(({ id }) => id === account.id);
}

export function StopForm({ account, wallet, deployment, done }: IntentProps): JSX.Element {
  const state = useRelay();
  const start = (): void =>
    state.run(
      () => signStop(deployment, wallet, getAddress(account.vault)),
      (signal) => until(async () => ((await readAccount(account, signal))?.status === 'active' ? undefined : true), signal),
    );
  return (
    <>
      {state.phase === 'ask' ? (
        <p>
          Nothing is opened any more, and the next batches close what is open. Your money stays in your account until you withdraw it;
          following again takes one new signature.
        </p>
      ) : (
        <RelaySteps state={state} what="stop" last="Stopped" explorer={deployment.explorerUrl} />
      )}
      <RelayButtons state={state} what="stop" start={start} done={done} />
    </>
  );
}

export function WithdrawForm({ account, wallet, deployment, live, done }: IntentProps & { readonly live: LiveAccount | undefined }): JSX.Element {
  const state = useRelay();
  const [which, setWhich] = useState<'all' | 'amount'>('all');
  const [text, setText] = useState('');
  const [tried, setTried] = useState(false);
  const typed = parseTyped(text, USDC);
  const wrong =
    which === 'all'
      ? undefined
      : !typed.ok
        ? typed.why
        : typed.value === 0n
          ? 'Enter an amount above zero.'
          : live !== undefined && typed.value > live.free
            ? `${usdc(live.free, { rounding: 'down' })} USDC are free now.`
            : undefined;

  function start(): void {
    setTried(true);
    if (wrong !== undefined) return;
    const amount = which === 'amount' && typed.ok ? typed.value : ALL;
    const before = account.withdrawn;
    state.run(
      () => signWithdraw(deployment, wallet, getAddress(account.vault), amount),
      (signal) => until(async () => ((await readAccount(account, signal))?.withdrawn === before ? undefined : true), signal),
    );
  }

  return (
    <>
      {state.phase === 'ask' ? (
        <>
          <p class="quiet">
            Paid to your own address and nowhere else: the vault knows no other. {live === undefined ? '' : `Free now: ${usdc(live.free, { rounding: 'down' })} USDC.`}
          </p>
          {account.positions.length > 0 && (
            <Notice>
              Margin behind open positions is not free. To take out everything, stop first and let the positions close, or use “Exit without
              Lockstep”.
            </Notice>
          )}
          <RadioField
            label="How much"
            name="which"
            value={which}
            change={setWhich}
            options={[
              { value: 'all', label: 'All that is free' },
              { value: 'amount', label: 'An amount' },
            ]}
          />
          {which === 'amount' && (
            <NumberField label="Amount" name="amount" unit="USDC" value={text} change={setText} wrong={tried || text !== '' ? wrong : undefined} />
          )}
        </>
      ) : (
        <RelaySteps state={state} what="withdrawal" last="Paid to your wallet" explorer={deployment.explorerUrl} />
      )}
      <RelayButtons state={state} what="withdrawal" start={start} done={done} />
    </>
  );
}
