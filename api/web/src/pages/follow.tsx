import type { JSX } from 'preact';
import { useRoute } from 'preact-iso';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { getAddress, type Address as HexAddress } from 'viem';
import { get, type Schemas } from '../api/client';
import { useQuery } from '../api/query';
import { useDeployment, type Deployment } from '../chain/deployment';
import { boundsFor, checkDraft, draftOf, newDraft, toMandate, type Draft, type Numbers, type Preview } from '../chain/mandate-form';
import { previewOutcome, readChainTime, readFunding, type Funding } from '../chain/read';
import { relay, sendMandate, signMandate, signTokenPermit, until } from '../chain/relay';
import { randomNonce } from '../chain/typed-data';
import { USDC, bpsMultiple, bpsPercent, fromApi, parseTyped, toDecimal, usdc } from '../units/amount';
import { OUTCOMES, OUTCOME_NAMES, outcomeWords } from '../units/words';
import { toWalletError, messageOf } from '../wallet/errors';
import type { ConnectedWallet } from '../wallet/wallet';
import { ChecksField, NumberField, RadioField, SelectField } from '../ui/fields';
import { Fact, Usdc } from '../ui/figures';
import { useTitle } from '../ui/hooks';
import { Address, Failure, Loading, Notice, Progress, TransactionLink, stepsOf, type Step } from '../ui/parts';
import { WalletGate } from '../ui/wallet';

type Strategy = Schemas['Strategy'];
type Account = Schemas['AccountWithResult'];

export function Follow(): JSX.Element {
  const { params, query } = useRoute();
  const id = params['id'] ?? '';
  const strategy = useQuery(id, (signal) => get('/api/v1/strategies/{id}', { path: { id }, query: {}, signal }));
  const deployment = useDeployment();
  useTitle(strategy.data === undefined ? 'Follow' : `Follow ${strategy.data.name}`);
  const error = strategy.error ?? deployment.error;
  return (
    <>
      <div class="head">
        <div>
          <h1>Follow {strategy.data?.name ?? ''}</h1>
          <p>
            Choose the bounds, sign once, done. The contract moves your own account and never beyond what you signed; nobody but
            you can take money out of it. Following costs no gas: the relay pays it.
          </p>
        </div>
      </div>
      {error !== undefined ? (
        <Failure error={error} retry={strategy.error === undefined ? deployment.retry : strategy.refresh} />
      ) : strategy.data === undefined || deployment.value === undefined ? (
        <Loading what="the strategy" framed />
      ) : (
        <WalletGateSheet strategy={strategy.data} deployment={deployment.value} wantedVault={query['vault']} />
      )}
    </>
  );
}

function WalletGateSheet({ strategy, deployment, wantedVault }: { readonly strategy: Strategy; readonly deployment: Deployment; readonly wantedVault: string | undefined }): JSX.Element {
  return (
    <WalletGate deployment={deployment} why="Connect the wallet whose money is to follow." framed>
      {(wallet) => <Ready key={wallet.address} strategy={strategy} deployment={deployment} wallet={wallet} wantedVault={wantedVault} />}
    </WalletGate>
  );
}

interface ReadyProps {
  readonly strategy: Strategy;
  readonly deployment: Deployment;
  readonly wallet: ConnectedWallet;
  readonly wantedVault: string | undefined;
}

function Ready({ strategy, deployment, wallet, wantedVault }: ReadyProps): JSX.Element {
  const funding = useQuery(`funding:${wallet.address}`, () => readFunding(deployment, wallet.address), { everyMs: 15_000 });
  const accounts = useQuery(`accounts:${wallet.address}`, (signal) =>
    get('/api/v1/accounts/{address}', { path: { address: wallet.address }, signal }),
  );
  if (accounts.error !== undefined) return <Failure error={accounts.error} retry={accounts.refresh} />;
  if (accounts.data === undefined) {
    return <Loading what="your account" framed />;
  }
  const mine = accounts.data.accounts.filter((account) => account.strategyId === strategy.id);
  const existing = mine.find((account) => account.vault.toLowerCase() === wantedVault?.toLowerCase()) ?? mine[0];
  // A newcomer joins the newest shard: older ones exist because they were full.
  const vault = existing?.vault ?? strategy.vaults.find((address) => address.toLowerCase() === wantedVault?.toLowerCase()) ?? strategy.vaults.at(-1);
  if (vault === undefined) return <Notice tone="warn">This strategy has no vault yet.</Notice>;
  return (
    <Form
      strategy={strategy}
      deployment={deployment}
      wallet={wallet}
      vault={getAddress(vault)}
      existing={existing}
      funding={funding.data}
      fundingError={funding.error}
    />
  );
}

interface FormProps {
  readonly strategy: Strategy;
  readonly deployment: Deployment;
  readonly wallet: ConnectedWallet;
  readonly vault: HexAddress;
  readonly existing: Account | undefined;
  readonly funding: Funding | undefined;
  readonly fundingError: Error | undefined;
}

const DAYS: readonly { readonly value: string; readonly label: string }[] = [
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: '1 year' },
];

/** What the vault still values the account at; a newcomer has none. */
function equityOf(account: Account | undefined): bigint | undefined {
  if (account === undefined) return undefined;
  return fromApi(account.equity ?? account.margin, USDC);
}

function Form({ strategy, deployment, wallet, vault, existing, funding, fundingError }: FormProps): JSX.Element {
  const symbols = useMemo(() => strategy.markets.map(({ symbol }) => symbol), [strategy]);
  const [draft, setDraft] = useState<Draft>(() =>
    existing?.mandate ? draftOf(existing.mandate, Date.now()) : newDraft({ terms: strategy.terms, markets: symbols }, '1000'),
  );
  /** Bounds the person has typed no longer follow the deposit. */
  const [own, setOwn] = useState(existing !== undefined);
  const [tried, setTried] = useState(false);
  const [submission, setSubmission] = useState<Numbers>();
  const equity = equityOf(existing);
  const checked = checkDraft(draft, { terms: strategy.terms, markets: symbols, balance: funding?.balance, equity });
  const wrong = (field: keyof Draft): string | undefined => (tried || draft[field] !== '' ? checked.problems[field] : undefined);

  function set(change: Partial<Draft>): void {
    setDraft((before) => {
      const next = { ...before, ...change };
      if (own || (change.deposit === undefined && change.maxLeverage === undefined)) return next;
      const typed = parseTyped(next.deposit, USDC);
      // What cannot be read yet leaves them as they are.
      const readable = typed.ok && parseTyped(next.maxLeverage, 4).ok;
      return readable ? { ...next, ...boundsFor(typed.value + (equity ?? 0n), next.maxLeverage) } : next;
    });
  }

  const days = DAYS.some(({ value }) => value === draft.days) ? DAYS : [...DAYS, { value: draft.days, label: `${draft.days} days` }];

  if (submission !== undefined) {
    return (
      <div class="sheet pad">
        <Submission
          strategy={strategy}
          deployment={deployment}
          wallet={wallet}
          vault={vault}
          draft={draft}
          numbers={submission}
          isNew={existing === undefined}
          back={() => setSubmission(undefined)}
        />
      </div>
    );
  }

  return (
    <form
      class="aside"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (checked.numbers !== undefined) setSubmission(checked.numbers);
        else
          requestAnimationFrame(() =>
            document.querySelector<HTMLElement>('main [aria-invalid="true"], main .wrong')?.focus(),
          );
      }}
    >
      <div class="sheet pad stack">
      {existing !== undefined && (
        <Notice>
          You already follow this strategy with {equity === undefined ? '' : `${usdc(equity)} USDC`}. What you sign here replaces your
          bounds; a deposit is added to the account, and 0 changes only the bounds.
        </Notice>
      )}
      {fundingError !== undefined && (
        <Notice tone="warn">
          Your balance could not be read from the chain: {fundingError.message} You can still sign; the contract refuses what your wallet
          does not hold.
        </Notice>
      )}
      {funding?.isContract && (
        <Notice tone="warn">
          This account is a contract. It can sign the mandate (ERC-1271), but not a USDC permit: approve Permit2 for USDC in the wallet
          first.
        </Notice>
      )}

      <fieldset class="stack">
        <legend>
          <h2>Money</h2>
        </legend>
        <div class="fields">
          <NumberField
            label="Deposit"
            name="deposit"
            unit="USDC"
            value={draft.deposit}
            change={(deposit) => set({ deposit })}
            wrong={wrong('deposit')}
            hint={funding === undefined ? 'Moves from your wallet into your own account in the vault.' : `Your wallet holds ${usdc(funding.balance, { rounding: 'down' })} USDC.`}
            {...(funding === undefined ? {} : { action: { label: 'All', run: () => set({ deposit: toDecimal(funding.balance, USDC) }) } })}
          />
          <RadioField
            label="How much of each move"
            name="mode"
            value={draft.mode}
            change={(mode) => set({ mode })}
            options={[
              { value: 'pro-rata', label: 'In proportion' },
              { value: 'fixed', label: 'Fixed size' },
            ]}
            hint={draft.mode === 'pro-rata' ? 'Your leverage is the master’s, times the ratio.' : 'The same notional in the master’s direction, however large the master is.'}
          />
          {draft.mode === 'pro-rata' ? (
            <NumberField
              label="Ratio"
              name="ratio"
              unit="×"
              value={draft.ratio}
              change={(ratio) => set({ ratio })}
              wrong={wrong('ratio')}
              hint="1 copies the master’s leverage; 0.5 takes half of it."
            />
          ) : (
            <NumberField
              label="Size"
              name="fixedNotional"
              unit="USDC"
              value={draft.fixedNotional}
              change={(fixedNotional) => set({ fixedNotional })}
              wrong={wrong('fixedNotional')}
              hint="Notional of your position while the master is in the market."
            />
          )}
        </div>
      </fieldset>

      <fieldset class="stack">
        <legend>
          <h2>Bounds</h2>
        </legend>
        <p class="quiet">The contract enforces these on every trade. Nobody can widen them without a new signature of yours.</p>
        <div class="fields">
          <NumberField
            label="Most leverage"
            name="maxLeverage"
            unit="×"
            value={draft.maxLeverage}
            change={(maxLeverage) => set({ maxLeverage })}
            wrong={wrong('maxLeverage')}
            hint={`All positions together ÷ your equity. The strategy allows up to ${bpsMultiple(strategy.terms.maxLeverageBps)}×.`}
          />
          <NumberField
            label="Most slippage"
            name="maxSlippage"
            unit="%"
            value={draft.maxSlippage}
            change={(maxSlippage) => set({ maxSlippage })}
            wrong={wrong('maxSlippage')}
            hint="How far a fill may be off the index price. If it would be further, your account is left out of that batch."
          />
          <NumberField
            label="Largest position per market"
            name="maxPosition"
            unit="USDC"
            value={draft.maxPosition}
            change={(maxPosition) => {
              setOwn(true);
              set({ maxPosition });
            }}
            wrong={wrong('maxPosition')}
            hint="Counted in whole USDC, rounded down."
          />
          <NumberField
            label="Most turnover per day"
            name="maxTurnover"
            unit="USDC"
            value={draft.maxTurnover}
            change={(maxTurnover) => {
              setOwn(true);
              set({ maxTurnover });
            }}
            wrong={wrong('maxTurnover')}
            hint="All trades of a UTC day. Room to close what is open is always kept free, so opening needs twice its size."
          />
          <NumberField
            label="Stop-loss"
            name="stopLoss"
            unit="%"
            value={draft.stopLoss}
            change={(stopLoss) => set({ stopLoss })}
            wrong={wrong('stopLoss')}
            placeholder="none"
            hint="Loss of what you put in at which anyone may close your account. Empty for none."
          />
          <NumberField
            label="Take-profit"
            name="takeProfit"
            unit="%"
            value={draft.takeProfit}
            change={(takeProfit) => set({ takeProfit })}
            wrong={wrong('takeProfit')}
            placeholder="none"
            hint="Gain on what you put in at which your account is closed. Empty for none."
          />
          <SelectField
            label="Valid for"
            name="days"
            value={draft.days}
            change={(value) => set({ days: value })}
            options={days}
            wrong={wrong('days')}
            hint="After that positions are only reduced, until you sign again."
          />
          <ChecksField
            label="Markets"
            name="markets"
            chosen={draft.markets}
            change={(markets) => set({ markets })}
            options={symbols.map((symbol) => ({ value: symbol, label: symbol }))}
            wrong={checked.problems.markets}
            hint="Nothing is ever opened in a market you leave out."
          />
        </div>
      </fieldset>

      </div>
      <div class="stack tight sticky">
        <WorstCase
          preview={checked.preview}
          slippage={draft.maxSlippage}
          copyFeeBps={strategy.terms.copyFeeBps}
          performanceFeeBps={strategy.terms.performanceFeeBps}
        />
        <button type="submit" class="button main full tall">
          Review and sign
        </button>
        <p class="small quiet">
          Your wallet shows every one of these values.{' '}
          {needsPermit(funding, draft)
            ? 'It asks for a USDC permit of exactly the deposit first: two signatures, no transaction.'
            : 'One signature, no transaction.'}
        </p>
      </div>
    </form>
  );
}

function needsPermit(funding: Funding | undefined, draft: Draft): boolean {
  const deposit = parseTyped(draft.deposit, USDC);
  return funding !== undefined && deposit.ok && funding.allowance < deposit.value;
}

function WorstCase({ preview, slippage, copyFeeBps, performanceFeeBps }: { readonly preview: Preview | undefined; readonly slippage: string; readonly copyFeeBps: number; readonly performanceFeeBps: number }): JSX.Element {
  return (
    <section class="worst" aria-labelledby="worst" aria-live="polite">
      <h3 id="worst">What these bounds come to</h3>
      {preview === undefined ? (
        <p class="quiet">Fill in the bounds to see it.</p>
      ) : (
        <>
          <p class="quiet small">Worst loss per day by bad fills</p>
          <p class="big" data-testid="worst-loss">
            <Usdc of={preview.worstFillLoss} />
          </p>
          <p class="quiet small">
            Most slippage ({slippage} %) × most turnover: what a stolen keeper key could cost you in one day at the very worst. Losses of
            the market itself are not in it; the stop-loss bounds those.
          </p>
          <dl class="facts">
            <Fact label="Most copy fees per day" tip={`${bpsPercent(copyFeeBps)} % of the turnover. The performance fee, ${bpsPercent(performanceFeeBps)} %, is only of profit.`}>
              <Usdc of={preview.mostFees} />
            </Fact>
            <Fact label="Largest exposure" tip="What leverage, position and turnover bounds allow together.">
              <Usdc of={preview.largestExposure} />
            </Fact>
            <Fact label="Stopped out at" tip="Equity at which your stop-loss closes everything. In a fast market the last fill may be below it.">
              {preview.stopAt === undefined ? 'no stop-loss' : <Usdc of={preview.stopAt} />}
            </Fact>
          </dl>
          {preview.largestExposure < preview.wantedExposure && (
            <Notice tone="warn">
              The turnover leaves room for {usdc(preview.largestExposure)} USDC only, because as much again is kept free to close it. Allow at
              least {usdc(preview.wantedExposure * 2n)} USDC a day to use your other bounds in full.
            </Notice>
          )}
        </>
      )}
    </section>
  );
}

interface SubmissionProps {
  readonly strategy: Strategy;
  readonly deployment: Deployment;
  readonly wallet: ConnectedWallet;
  readonly vault: HexAddress;
  readonly draft: Draft;
  readonly numbers: Numbers;
  readonly isNew: boolean;
  readonly back: () => void;
}

type Phase = 'review' | 'permit' | 'sign' | 'send' | 'queued' | 'submitted' | 'included' | 'indexed' | 'done';

const ORDER: readonly Phase[] = ['permit', 'sign', 'send', 'queued', 'submitted', 'included', 'indexed', 'done'];

interface MarketState {
  readonly symbol: string;
  readonly words: string;
  readonly settled: boolean;
}

function Submission({ strategy, deployment, wallet, vault, draft, numbers, isNew, back }: SubmissionProps): JSX.Element {
  const [phase, setPhase] = useState<Phase>('review');
  const [withPermit, setWithPermit] = useState(false);
  const [error, setError] = useState<Error>();
  const [transaction, setTransaction] = useState<string>();
  const [markets, setMarkets] = useState<readonly MarketState[]>([]);
  const [note, setNote] = useState<string>();
  const [slow, setSlow] = useState(false);
  const abort = useRef<AbortController | undefined>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    return () => abort.current?.abort();
  }, []);

  async function run(): Promise<void> {
    abort.current?.abort();
    const controller = new AbortController();
    abort.current = controller;
    const { signal } = controller;
    setError(undefined);
    setNote(undefined);
    try {
      const follower = getAddress(wallet.address);
      const mandate = toMandate(draft, numbers, { follower, vault, nonce: randomNonce(), nowSeconds: await readChainTime(deployment) });
      let permit;
      if (mandate.deposit > 0n) {
        const funding = await readFunding(deployment, follower);
        if (funding.allowance < mandate.deposit) {
          setWithPermit(true);
          setPhase('permit');
          permit = await signTokenPermit(deployment, wallet, funding, mandate.deposit);
        }
      }
      setPhase('sign');
      const signed = await signMandate(deployment, wallet, mandate, permit);
      setPhase('send');
      const included = await relay(
        () => sendMandate(signed),
        (status) => {
          if (status.state === 'queued' || status.state === 'submitted') setPhase(status.state);
          if (status.state === 'submitted') setTransaction(status.transaction);
          setNote(status.state === 'unknown' ? status.detail : undefined);
        },
        signal,
      );
      setTransaction(included.transaction);
      setPhase('included');
      const account = await until(async () => {
        const mine = await get('/api/v1/accounts/{address}', { path: { address: follower }, signal });
        return mine.accounts.find(
          (each) => each.vault.toLowerCase() === vault.toLowerCase() && each.mandate !== null && each.mandate !== undefined && BigInt(Math.floor(Date.parse(each.mandate.expiresAt) / 1000)) === mandate.expiry,
        );
      }, signal);
      setPhase('indexed');
      const slow = setTimeout(() => setSlow(true), 45_000);
      signal.addEventListener('abort', () => clearTimeout(slow));
      await until(async () => {
        const now = await inStep(deployment, strategy, vault, account.account, draft.markets);
        setMarkets(now);
        return now.every(({ settled }) => settled) ? true : undefined;
      }, signal);
      clearTimeout(slow);
      setPhase('done');
    } catch (reason) {
      if (!signal.aborted) setError(reason instanceof Error ? reason : new Error(messageOf(reason)));
    }
  }

  const deposit = numbers.deposit;
  const step = stepsOf(ORDER, phase, error !== undefined);
  const steps: Step[] = [
    ...(withPermit ? [step('Allow the deposit', ['permit'], `Signature 1 of 2: Permit2 may take ${usdc(deposit)} USDC, and no more.`)] : []),
    step('Sign the mandate', ['sign'], withPermit ? 'Signature 2 of 2: the bounds and the deposit.' : 'The bounds, and the deposit if there is one.'),
    step('Hand to the relay', ['send', 'queued'], note ?? 'It pays the gas. Nothing is lost if it is interrupted.'),
    step('In a transaction', ['submitted'], transaction === undefined ? undefined : <TransactionLink hash={transaction} explorer={deployment.explorerUrl} />),
    step('In a block', ['included'], phase === 'included' ? 'Waiting for the indexer to read the block.' : undefined),
    step(
      'In step with the master',
      ['indexed'],
      markets.length === 0 ? undefined : (
        <ul class="plain">
          {markets.map((market) => (
            <li key={market.symbol}>
              {market.symbol}: {market.words}
            </li>
          ))}
        </ul>
      ),
    ),
  ];

  return (
    <div class="stack">
      <h2 tabIndex={-1} ref={heading}>
        {phase === 'review' ? 'What you will sign' : phase === 'done' ? 'You are in step' : 'On its way'}
      </h2>
      {phase === 'review' ? <Review strategy={strategy} vault={vault} draft={draft} numbers={numbers} isNew={isNew} /> : <Progress steps={steps} />}
      {error !== undefined && (
        <Notice tone={toWalletError(error).declined ? 'warn' : 'bad'} live>
          <p>{error.message}</p>
        </Notice>
      )}
      {phase === 'indexed' && slow && error === undefined && (
        <Notice tone="warn" live>
          The deposit and the bounds are on chain, and the next batch moves your account. That takes longer than usual now; you need not wait
          here, and can leave with your money at any time from <a href="/account">your account</a>.
        </Notice>
      )}
      {phase === 'done' && (
        <Notice tone="good" live>
          <p>Your account follows {strategy.name}. From here on nothing needs you: every signal is mirrored inside your bounds.</p>
          <p class="row">
            <a class="button main" href="/account">
              To my account
            </a>
            <a class="button" href={`/strategies/${strategy.id}`}>
              To the strategy
            </a>
          </p>
        </Notice>
      )}
      {(phase === 'review' || error !== undefined) && (
        <div class="row">
          <button type="button" class="button" onClick={back}>
            Back to the bounds
          </button>
          <button type="button" class="button main" onClick={() => void run()}>
            {error === undefined ? 'Sign in the wallet' : 'Try again'}
          </button>
        </div>
      )}
    </div>
  );
}

/** What the next batch would do in each market: `at-target` is being in step. */
async function inStep(
  deployment: Deployment,
  strategy: Strategy,
  vault: HexAddress,
  account: number,
  allowed: readonly string[],
): Promise<readonly MarketState[]> {
  return Promise.all(
    strategy.markets
      .filter(({ symbol }) => allowed.includes(symbol))
      .map(async ({ symbol, index }): Promise<MarketState> => {
        const { leverage, none, outcome } = await previewOutcome(deployment, strategy.id, vault, account, index);
        const name = OUTCOME_NAMES[outcome] ?? String(outcome);
        if (name === 'moved' || name === 'capped') return { symbol, words: 'waiting for the next batch…', settled: false };
        if (none || leverage === 0n) return { symbol, words: 'the master is flat; the next signal is copied', settled: true };
        const words = outcomeWords(name);
        return { symbol, words: words === OUTCOMES['at-target'] ? 'in step' : `${words.short}. ${words.long}`, settled: true };
      }),
  );
}

function Review({ strategy, vault, draft, numbers, isNew }: { readonly strategy: Strategy; readonly vault: string; readonly draft: Draft; readonly numbers: Numbers; readonly isNew: boolean }): JSX.Element {
  return (
    <dl class="facts">
      <Fact label={isNew ? 'Deposit' : 'Added to the account'}>{numbers.deposit === 0n ? 'none: only the bounds change' : <Usdc of={numbers.deposit} />}</Fact>
      <Fact label="Follows">{strategy.name}</Fact>
      <Fact label="In the vault" tip="The contract that will hold your account. Your wallet shows this address as “strategy”.">
        <Address of={vault} label="vault’s address" />
      </Fact>
      <Fact label="Size of each move">
        {draft.mode === 'pro-rata' ? `${bpsMultiple(numbers.ratioBps)} × the master’s leverage` : <Usdc of={numbers.fixedNotional} />}
      </Fact>
      <Fact label="Most leverage">{bpsMultiple(numbers.maxLeverageBps)} ×</Fact>
      <Fact label="Most slippage">{bpsPercent(numbers.maxSlippageBps)} %</Fact>
      <Fact label="Largest position per market">
        <Usdc of={numbers.maxPositionNotional} />
      </Fact>
      <Fact label="Most turnover per day">
        <Usdc of={numbers.maxDailyTurnover} />
      </Fact>
      <Fact label="Stop-loss">{numbers.stopLossBps === 0 ? 'none' : `${bpsPercent(numbers.stopLossBps)} %`}</Fact>
      <Fact label="Take-profit">{numbers.takeProfitBps === 0 ? 'none' : `${bpsPercent(numbers.takeProfitBps)} %`}</Fact>
      <Fact label="Markets">{draft.markets.join(', ')}</Fact>
      <Fact label="Valid for">{numbers.days} days</Fact>
    </dl>
  );
}
