import type { JSX } from 'preact';
import { useRoute } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { encodeFunctionData, getAddress, isAddress, type Address as HexAddress } from 'viem';
import { get, url, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import { useTopic } from '../api/stream';
import { vaultAbi } from '../chain/abi';
import { useDeployment, type Deployment } from '../chain/deployment';
import { explainRevert, readLiveAccount, receiptOf, simulate, type LiveAccount } from '../chain/read';
import { relay, sendIntent, signStop, signWithdraw, until } from '../chain/relay';
import { ALL } from '../chain/typed-data';
import { BPS, SIZE, USDC, WAD, bpsMultiple, bpsPercent, divide, fromApi, parseTyped, pow10, usdc } from '../units/amount';
import { duration } from '../units/time';
import { CAUSES, STATUSES, outcomeWords } from '../units/words';
import { messageOf, toWalletError } from '../wallet/errors';
import { sendTransaction, type ConnectedWallet } from '../wallet/wallet';
import { Explain } from '../ui/explain';
import { NumberField, RadioField } from '../ui/fields';
import { Ago, Bps, Fact, Figure, None, Percent, Price, Side, Size, StatisticFigure, Time, Usdc } from '../ui/figures';
import { useTitle } from '../ui/hooks';
import { Address, Blank, Dialog, Failure, Loading, Notice, Progress, Tag, TransactionLink, type Step, type Tone } from '../ui/parts';
import { Table, type Column } from '../ui/table';
import { WalletGate, WalletList, useWallet } from '../ui/wallet';

type Account = Schemas['AccountWithResult'];
type Fill = Schemas['Fill'];

export function Account(): JSX.Element {
  useTitle('My account');
  const { query } = useRoute();
  const wallet = useWallet();
  const deployment = useDeployment();
  // Everything here is public on the chain, so any address can be looked at; only its own wallet can act.
  const asked = query['address'];
  const watched = asked !== undefined && isAddress(asked, { strict: false }) ? getAddress(asked) : undefined;
  const address = watched ?? (wallet === undefined ? undefined : getAddress(wallet.address));
  const own = wallet !== undefined && address !== undefined && getAddress(wallet.address) === address;
  return (
    <>
      <div class="head">
        <div>
          <h1>{own || address === undefined ? 'My account' : 'Account'}</h1>
          {address !== undefined && (
            <p>
              <Address of={address} label="address" />
              {!own && ' – shown read-only: only its own wallet can act.'}
            </p>
          )}
        </div>
      </div>
      {deployment.error !== undefined && <Failure error={deployment.error} retry={deployment.retry} />}
      {address === undefined ? (
        <div class="sheet pad stack tight">
          <p>Connect your wallet to see what you follow, what it has come to, and every fill.</p>
          <WalletList />
        </div>
      ) : (
        <Accounts key={address} address={address} wallet={own ? wallet : undefined} deployment={deployment.value} />
      )}
    </>
  );
}

interface AccountsProps {
  readonly address: HexAddress;
  /** Set when the wallet shown is the one connected. */
  readonly wallet: ConnectedWallet | undefined;
  readonly deployment: Deployment | undefined;
}

function Accounts({ address, wallet, deployment }: AccountsProps): JSX.Element {
  const query = useQuery(address, (signal) => get('/api/v1/accounts/{address}', { path: { address }, signal }), { everyMs: 15_000 });
  const [turn, setTurn] = useState(0);
  useTopic(`account:${address}`, () => {
    query.refresh();
    setTurn((before) => before + 1);
  });
  if (query.data === undefined) {
    return query.error === undefined ? <Loading what="your accounts" framed /> : <Failure error={query.error} retry={query.refresh} />;
  }
  return (
    <div class="stack">
      {query.error !== undefined && <Failure error={query.error} retry={query.refresh} />}
      {query.data.strategies.length > 0 && (
        <Notice>
          This address runs {query.data.strategies.length === 1 ? 'a strategy' : 'strategies'} of its own:{' '}
          {query.data.strategies.map((id, index) => (
            <span key={id}>
              {index > 0 && ', '}
              <a href={`/strategies/${id}`}>strategy {id}</a>
            </span>
          ))}
          .
        </Notice>
      )}
      {query.data.accounts.length === 0 ? (
        <div class="sheet">
          <Blank title="This address follows nobody yet">
            <p>Once you follow a master, your equity, positions, bounds and every fill are here.</p>
            <a class="button main" href="/">
              Choose a master
            </a>
          </Blank>
        </div>
      ) : (
        query.data.accounts.map((account) => (
          <AccountCard key={account.id} account={account} wallet={wallet} deployment={deployment} turn={turn} refresh={query.refresh} />
        ))
      )}
      {query.data.accounts.length > 0 && <Fills address={address} accounts={query.data.accounts} turn={turn} explorer={deployment?.explorerUrl} />}
    </div>
  );
}

const STATUS_TONE: Readonly<Record<string, Tone>> = { active: 'good', stopped: 'warn', 'stopped-out': 'warn', liquidated: 'bad' };

interface CardProps {
  readonly account: Account;
  readonly wallet: ConnectedWallet | undefined;
  readonly deployment: Deployment | undefined;
  readonly turn: number;
  readonly refresh: () => void;
}

type Action = 'stop' | 'withdraw' | 'exit';

function AccountCard({ account, wallet, deployment, turn, refresh }: CardProps): JSX.Element {
  const [action, setAction] = useState<Action>();
  const live = useQuery(
    deployment?.rpcUrl ? `${account.id}:${turn}` : undefined,
    () => readLiveAccount(deployment as Deployment, getAddress(account.vault), account.account),
    { keep: true, everyMs: 15_000 },
  );
  const status = STATUSES[account.status] ?? { short: account.status, long: account.status };
  const { result, mandate } = account;
  const close = (): void => {
    setAction(undefined);
    refresh();
    live.refresh();
  };
  return (
    <section class="sheet account" aria-labelledby={`account-${account.id}`}>
      <div class="pad spread">
        <div>
          <h2 id={`account-${account.id}`}>
            <a class="lead" href={`/strategies/${account.strategyId}`}>
              {account.strategyName}
            </a>
          </h2>
          <div class="row small quiet">
            <Tag {...(STATUS_TONE[account.status] ? { tone: STATUS_TONE[account.status] as Tone } : {})}>
              <Explain tip={status.long}>{status.short}</Explain>
            </Tag>
            <span>account {account.account}</span>
            <span>
              since <Time of={account.openedAt} dateOnly />
            </span>
          </div>
        </div>
        {wallet !== undefined && (
          <div class="row">
            <a class="button small" href={`/strategies/${account.strategyId}/follow?vault=${account.vault}`}>
              {account.status === 'active' ? 'Add or change bounds' : 'Follow again'}
            </a>
            <button type="button" class="button small" onClick={() => setAction('withdraw')}>
              Withdraw
            </button>
            {account.status === 'active' && (
              <button type="button" class="button small grave" onClick={() => setAction('stop')}>
                Stop
              </button>
            )}
          </div>
        )}
      </div>

      <dl class="figures fewer">
        <Figure label="Equity" tip={<EquityTip live={live.data} />}>
          {live.data !== undefined ? <Usdc of={live.data.equity} /> : account.equity ? <Usdc of={account.equity} /> : <None why="no index price seen yet" />}
        </Figure>
        <StatisticFigure label="Result" of={result.profit} coloured sign />
        <Figure label="Simple return" tip="Result ÷ all deposits, whenever they were made. The money-weighted return beside it counts when each was made, as a year’s rate.">
          <SimpleReturn profit={result.profit.value} deposited={account.deposited} />
        </Figure>
        <StatisticFigure label="Money-weighted" of={result.moneyWeightedReturn} coloured sign />
        <StatisticFigure label="Strategy’s return" of={result.strategyReturn} coloured sign />
        <Figure label="Net deposits" tip="All deposits − all withdrawals.">
          <Usdc of={account.netDeposits} />
        </Figure>
        <Figure label="Margin" tip="Deposits, less withdrawals, with realised results and fees: the account’s entry in the ledger.">
          <Usdc of={account.margin} />
        </Figure>
        <Figure label="Free" tip="What could be withdrawn now without breaking your leverage bound or the venue’s margin.">
          {live.data === undefined ? <None why="not read from the chain yet" /> : <Usdc of={live.data.free} />}
        </Figure>
        <Figure label="Fees paid" tip="Copy fees, venue fees and performance fees together.">
          <Usdc of={fromApi(account.fees, USDC) + fromApi(account.performanceFees, USDC)} />
        </Figure>
      </dl>

      <div class="pad halves">
        <div>
          <h3>Positions</h3>
          {account.positions.length === 0 ? (
            <p class="quiet">No open position.</p>
          ) : (
            <dl class="facts">
              {account.positions.map((position) => (
                <div key={position.market}>
                  <dt>
                    <span class="ink">{position.symbol}</span> <Side of={position.size} />
                    <div class="small">
                      {position.averageEntry ? (
                        <>
                          entered at <Price of={position.averageEntry} />
                        </>
                      ) : (
                        'entry unknown'
                      )}
                    </div>
                  </dt>
                  <dd>
                    <Size of={position.size} symbol={position.symbol} sign />
                    <div class="small">
                      {position.value ? <Usdc of={position.value} coloured sign /> : <None why="no index price seen yet" />} <span class="quiet">open result</span>
                    </div>
                  </dd>
                </div>
              ))}
            </dl>
          )}
          <h3 class="next">Gap to the master</h3>
          <dl class="facts">
            {(
              [
                ['Delay', result.gap.latency],
                ['Slippage', result.gap.slippage],
                ['Fees', result.gap.fees],
                ['Your bounds', result.gap.bounds],
              ] as const
            ).map(([label, statistic]) => (
              <StatisticFigure key={label} label={label} of={statistic} />
            ))}
          </dl>
        </div>
        <div>
          <h3>Your bounds</h3>
          {!mandate ? (
            <p class="quiet">No mandate in force.</p>
          ) : (
            <dl class="facts">
              <Fact label="Size of each move">
                {mandate.mode === 'fixed' ? <Usdc of={mandate.fixedNotional} /> : `${bpsMultiple(mandate.ratioBps)}× the master’s leverage`}
              </Fact>
              <Fact label="Most leverage">{bpsMultiple(mandate.maxLeverageBps)} ×</Fact>
              <Fact label="Most slippage">{bpsPercent(mandate.maxSlippageBps)} %</Fact>
              <Fact label="Largest position per market">
                <Usdc of={mandate.maxPositionNotional} digits={0} />
              </Fact>
              <Fact label="Most turnover per day">
                <Usdc of={mandate.maxDailyTurnover} digits={0} />
              </Fact>
              <Fact label="Worst loss per day by bad fills" tip="Most slippage × most turnover per day.">
                <Usdc of={(fromApi(mandate.maxDailyTurnover, USDC) * BigInt(mandate.maxSlippageBps)) / 10n ** BigInt(BPS)} />
              </Fact>
              <Fact label="Stop-loss">{mandate.stopLossBps === 0 ? 'none' : `${bpsPercent(mandate.stopLossBps)} %`}</Fact>
              <Fact label="Take-profit">{mandate.takeProfitBps === 0 ? 'none' : `${bpsPercent(mandate.takeProfitBps)} %`}</Fact>
              <Fact label="Markets">{mandate.allowedMarkets.join(', ')}</Fact>
              <Fact label="Valid until">
                <Time of={mandate.expiresAt} />
                {Date.parse(mandate.expiresAt) < Date.now() && <span class="loss"> expired</span>}
              </Fact>
            </dl>
          )}
        </div>
      </div>

      {wallet !== undefined && (
        <div class="pad escape">
          <div>
            <h3>Exit without Lockstep</h3>
            <p class="small quiet">
              The way out that needs nobody: your own wallet calls the vault, which closes everything of yours at the venue and pays
              you, even if this service, its relay and its keeper are all gone. You pay the gas yourself.
            </p>
          </div>
          <button type="button" class="button small grave" onClick={() => setAction('exit')}>
            Exit on my own…
          </button>
        </div>
      )}

      {wallet !== undefined && deployment !== undefined && (
        <>
          <Dialog title={`Stop following ${account.strategyName}`} open={action === 'stop'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <StopForm account={account} wallet={ready} deployment={deployment} done={close} />}
            </WalletGate>
          </Dialog>
          <Dialog title="Withdraw" open={action === 'withdraw'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <WithdrawForm account={account} wallet={ready} deployment={deployment} live={live.data} done={close} />}
            </WalletGate>
          </Dialog>
          <Dialog title="Exit without Lockstep" open={action === 'exit'} close={close}>
            <WalletGate deployment={deployment} why="Connect your wallet.">
              {(ready) => <ExitForm account={account} wallet={ready} deployment={deployment} done={close} />}
            </WalletGate>
          </Dialog>
        </>
      )}
    </section>
  );
}

function SimpleReturn({ profit, deposited }: { readonly profit: string | null; readonly deposited: string }): JSX.Element {
  const base = fromApi(deposited, USDC);
  if (profit === null || base === 0n) return <None why="no index price seen yet" />;
  return <Percent of={divide(fromApi(profit, USDC) * pow10(WAD), base)} coloured sign />;
}

function EquityTip({ live }: { readonly live: LiveAccount | undefined }): JSX.Element {
  return (
    <>
      Margin + value of open positions at the venue’s index prices.{' '}
      {live === undefined
        ? 'From the indexer; the chain has not been read.'
        : `Read from the vault itself (equityOf) at block ${live.block}. It would be liquidated below ${usdc(live.maintenance)} USDC.`}
    </>
  );
}

// ---------------------------------------------------------------- relayed intents

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
  const at = RELAY_ORDER.indexOf(state.phase);
  const step = (title: string, own: readonly RelayPhase[], detail?: Step['detail']): Step => {
    const first = Math.min(...own.map((each) => RELAY_ORDER.indexOf(each)));
    const end = Math.max(...own.map((each) => RELAY_ORDER.indexOf(each)));
    const now = at >= first && at <= end;
    return {
      title,
      state: state.phase === 'done' || at > end ? 'done' : now ? (state.error === undefined ? 'now' : 'bad') : 'later',
      ...(detail === undefined ? {} : { detail }),
    };
  };
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

function StopForm({ account, wallet, deployment, done }: IntentProps): JSX.Element {
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
      <div class="row end">
        <button type="button" class="button" onClick={done}>
          {state.phase === 'done' ? 'Close' : 'Cancel'}
        </button>
        {(state.phase === 'ask' || state.error !== undefined) && (
          <button type="button" class="button main" onClick={start}>
            {state.error === undefined ? 'Sign the stop' : 'Try again'}
          </button>
        )}
      </div>
    </>
  );
}

function WithdrawForm({ account, wallet, deployment, live, done }: IntentProps & { readonly live: LiveAccount | undefined }): JSX.Element {
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
      <div class="row end">
        <button type="button" class="button" onClick={done}>
          {state.phase === 'done' ? 'Close' : 'Cancel'}
        </button>
        {(state.phase === 'ask' || state.error !== undefined) && (
          <button type="button" class="button main" onClick={start}>
            {state.error === undefined ? 'Sign the withdrawal' : 'Try again'}
          </button>
        )}
      </div>
    </>
  );
}

// ---------------------------------------------------------------- exit

type ExitPhase = 'ask' | 'check' | 'send' | 'wait' | 'done';
const EXIT_ORDER: readonly ExitPhase[] = ['check', 'send', 'wait', 'done'];

function ExitForm({ account, wallet, deployment, done }: IntentProps): JSX.Element {
  const [phase, setPhase] = useState<ExitPhase>('ask');
  const [slippage, setSlippage] = useState('1');
  const [error, setError] = useState<Error>();
  const [transaction, setTransaction] = useState<string>();
  const typed = parseTyped(slippage, 2);
  const wrong = !typed.ok ? typed.why : typed.value > 10_000n ? 'At most 100 %, which accepts any price.' : undefined;

  async function run(): Promise<void> {
    if (!typed.ok || wrong !== undefined) return;
    setError(undefined);
    try {
      const vault = getAddress(account.vault);
      const call = { address: vault, abi: vaultAbi, functionName: 'exit', args: [typed.value] } as const;
      setPhase('check');
      const gas = await simulate(deployment, call, getAddress(wallet.address));
      setPhase('send');
      const hash = await sendTransaction(wallet, vault, encodeFunctionData(call), gas);
      setTransaction(hash);
      setPhase('wait');
      const receipt = await receiptOf(deployment, hash);
      if (receipt.status !== 'success') throw new Error('The transaction was refused by the contract. Nothing has changed.');
      setPhase('done');
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(explainRevert(reason)));
    }
  }

  const at = EXIT_ORDER.indexOf(phase);
  const step = (title: string, own: ExitPhase, detail?: Step['detail']): Step => {
    const index = EXIT_ORDER.indexOf(own);
    return {
      title,
      state: phase === 'done' || at > index ? 'done' : at === index ? (error === undefined ? 'now' : 'bad') : 'later',
      ...(detail === undefined ? {} : { detail }),
    };
  };
  return (
    <>
      {phase === 'ask' ? (
        <>
          <p>
            Your wallet sends <code>exit</code> to the vault <Address of={account.vault} label="vault’s address" />. It closes all your positions at
            the venue and pays out what the venue releases, to you. It needs nobody’s permission and a little ether for gas.
          </p>
          <NumberField
            label="Worst price you accept"
            name="slippage"
            unit="% off the index"
            value={slippage}
            change={setSlippage}
            wrong={wrong}
            hint="If the venue cannot fill within this, nothing happens and you can try again with more. 100 accepts any price."
          />
          <details>
            <summary>Without this page too</summary>
            <p class="small quiet">
              Any tool that can send a transaction from your address will do; with Foundry’s <code>cast</code>:
            </p>
            <pre class="raw">
              cast send {account.vault} 'exit(uint256)' {typed.ok && wrong === undefined ? typed.value.toString() : '100'} --rpc-url{' '}
              {deployment.rpcUrl ?? '$RPC_URL'} --interactive
            </pre>
          </details>
        </>
      ) : (
        <Progress
          steps={[
            step('Tried without sending', 'check'),
            step('Send from your wallet', 'send'),
            step('In a block', 'wait', transaction === undefined ? undefined : <TransactionLink hash={transaction} explorer={deployment.explorerUrl} />),
          ]}
        />
      )}
      {phase === 'done' && (
        <Notice tone="good" live>
          Everything of yours is closed and paid to your wallet.
        </Notice>
      )}
      {error !== undefined && (
        <Notice tone={toWalletError(error).declined ? 'warn' : 'bad'} live>
          {error.message}
        </Notice>
      )}
      <div class="row end">
        <button type="button" class="button" onClick={done}>
          {phase === 'done' ? 'Close' : 'Cancel'}
        </button>
        {error !== undefined && (
          <button
            type="button"
            class="button"
            onClick={() => {
              setError(undefined);
              setPhase('ask');
            }}
          >
            Change the price
          </button>
        )}
        {(phase === 'ask' || error !== undefined) && (
          <button type="button" class="button main" disabled={wrong !== undefined} onClick={() => void run()}>
            {error === undefined ? 'Exit now' : 'Try again'}
          </button>
        )}
      </div>
    </>
  );
}

// ---------------------------------------------------------------- fills

const FILLS = 25;

function Fills({ address, accounts, turn, explorer }: { readonly address: string; readonly accounts: readonly Account[]; readonly turn: number; readonly explorer: string | null | undefined }): JSX.Element {
  const [pages, setPages] = useState(1);
  const [skipped, setSkipped] = useState(true);
  const [vault, setVault] = useState('');
  const filter = { skipped, ...(vault === '' ? {} : { vault }) };
  const query = useQuery(
    `${address}:${pages}:${String(skipped)}:${vault}:${turn}`,
    async (signal) => {
      const items: Fill[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < pages; page += 1) {
        const reply = await get('/api/v1/accounts/{address}/fills', { path: { address }, query: { ...filter, limit: FILLS, ...(cursor ? { cursor } : {}) }, signal });
        items.push(...reply.items);
        cursor = reply.next;
        if (!cursor) break;
      }
      return { items, more: Boolean(cursor) };
    },
    { keep: true },
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
            {names.get(row.strategyId) ?? `strategy ${row.strategyId}`} · <TransactionLink hash={row.at.transaction} explorer={explorer} />
          </div>
        </div>
      ),
    },
    { key: 'market', label: 'Market', cell: (row) => row.symbol },
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
                    {account.strategyName}
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
      <div class="sheet">
        {query.error !== undefined && (
          <div class="pad">
            <Failure error={query.error} retry={query.refresh} />
          </div>
        )}
        {rows !== undefined && rows.length === 0 ? (
          <Blank title="Nothing yet">
            <p>The first batch that names your account appears here, with its price, or with the reason it left you alone.</p>
          </Blank>
        ) : (
          !(query.error !== undefined && rows === undefined) && (
            <div class="scroll">
              <Table caption="Fills and skipped lines, newest first" columns={columns} rows={rows} rowKey={(row) => row.id} />
            </div>
          )
        )}
        {query.data?.more && (
          <div class="more">
            <span>{rows?.length} newest</span>
            <button type="button" class="button small" onClick={() => setPages((before) => before + 1)}>
              Show more
            </button>
          </div>
        )}
      </div>
      <p class="small quiet foot-note">
        Times are the block’s. {rows?.[0] && (<>The newest line is <Ago of={rows[0].at.time} />.</>)}
      </p>
    </section>
  );
}
