import type { JSX } from 'preact';
import { useLocation } from 'preact-iso';
import { useEffect, useRef, useState } from 'preact/hooks';
import { encodeFunctionData, getAddress, isAddress, parseEventLogs, zeroAddress, type Address as HexAddress } from 'viem';
import { get } from '../api/client';
import { registryAbi } from '../chain/abi';
import { useDeployment, type Deployment } from '../chain/deployment';
import { explainRevert, receiptOf, simulate } from '../chain/read';
import { until } from '../chain/relay';
import { checkRegistration, type Registration, type RegistrationField } from '../chain/register-form';
import { toWalletError } from '../wallet/errors';
import { sendTransaction, type ConnectedWallet } from '../wallet/wallet';
import { ChecksField, NumberField, RadioField, TextField } from '../ui/fields';
import { useTitle } from '../ui/hooks';
import { Address, Failure, Loading, Notice, Progress, TransactionLink, stepsOf } from '../ui/parts';
import { WalletGate } from '../ui/wallet';

async function readUpTo(signal: AbortSignal): Promise<bigint> {
  const { indexer } = await get('/api/v1/status', { signal });
  return BigInt(indexer.cursor?.number ?? 0);
}

export function Register(): JSX.Element {
  useTitle('Become a master');
  const deployment = useDeployment();
  return (
    <>
      <div class="head">
        <div>
          <h1>Become a master</h1>
          <p>
            Register an address and your terms in one transaction. From the next block your trades are followed by whoever chooses to;
            you never touch their money, and they never touch yours.
          </p>
        </div>
      </div>
      {deployment.error !== undefined ? (
        <Failure error={deployment.error} retry={deployment.retry} />
      ) : deployment.value === undefined ? (
        <Loading what="the registry" framed />
      ) : (
        <WalletGate
          deployment={deployment.value}
          framed
          why="Connect the wallet that will be the master: it receives the fees, and only it can change the terms."
        >
          {(wallet) => (
            <div class="sheet pad">
              <Form key={wallet.address} deployment={deployment.value as Deployment} wallet={wallet} />
            </div>
          )}
        </WalletGate>
      )}
    </>
  );
}

type Phase = 'form' | 'check' | 'send' | 'wait' | 'index' | 'done';
const ORDER: readonly Phase[] = ['check', 'send', 'wait', 'index', 'done'];

function Form({ deployment, wallet }: { readonly deployment: Deployment; readonly wallet: ConnectedWallet }): JSX.Element {
  const { route } = useLocation();
  const [form, setForm] = useState<Registration>(() => ({
    name: '',
    proof: 'venue',
    source: getAddress(wallet.address),
    markets: deployment.markets.map(({ symbol }) => symbol),
    copyFee: '0.05',
    performanceFee: '10',
    maxLeverage: '3',
    maxSlippage: '1',
    deadBand: '1',
    minTrade: '10',
    capacity: '1000000',
    disclosureDelay: '0',
  }));
  const [tried, setTried] = useState(false);
  const [phase, setPhase] = useState<Phase>('form');
  const [error, setError] = useState<Error>();
  const [transaction, setTransaction] = useState<string>();
  const abort = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const checked = checkRegistration(form, (address) => isAddress(address, { strict: false }));
  const set = (change: Partial<Registration>): void => setForm((before) => ({ ...before, ...change }));
  const wrong = (field: RegistrationField): string | undefined => (tried || (field !== 'name' && form[field] !== '') ? checked.problems[field] : undefined);

  async function run(): Promise<void> {
    setTried(true);
    if (checked.terms === undefined) return;
    setError(undefined);
    try {
      const registry = getAddress(deployment.contracts.registry);
      const source: HexAddress = form.proof === 'venue' ? getAddress(form.source) : zeroAddress;
      const markets = deployment.markets.filter(({ symbol }) => form.markets.includes(symbol)).map(({ listingId }) => listingId);
      const call = {
        address: registry,
        abi: registryAbi,
        functionName: 'register',
        args: [getAddress(deployment.contracts.venue), source, form.name.trim(), markets, checked.terms],
      } as const;
      setPhase('check');
      const gas = await simulate(deployment, call, getAddress(wallet.address));
      setPhase('send');
      const hash = await sendTransaction(wallet, registry, encodeFunctionData(call), gas);
      setTransaction(hash);
      setPhase('wait');
      const receipt = await receiptOf(deployment, hash);
      if (receipt.status !== 'success') throw new Error('The registry refused the transaction. Nothing was registered.');
      const [event] = parseEventLogs({ abi: registryAbi, eventName: 'StrategyRegistered', logs: receipt.logs });
      if (event === undefined) throw new Error('The transaction went through but registered nothing.');
      const id = event.args.strategyId.toString();
      setPhase('index');
      const controller = new AbortController();
      abort.current = controller;
      // The indexer says how far it has read; asking for the strategy before it is there would be answered by an error.
      await until(async () => ((await readUpTo(controller.signal)) >= receipt.blockNumber ? true : undefined), controller.signal);
      setPhase('done');
      route(`/strategies/${id}`);
    } catch (reason) {
      setError(reason instanceof Error ? reason : new Error(explainRevert(reason)));
    }
  }

  if (phase !== 'form') {
    const step = stepsOf(ORDER, phase, error !== undefined);
    return (
      <div class="stack">
        <h2>Registering {form.name}</h2>
        <Progress
          steps={[
            step('Tried without sending', ['check']),
            step('Send from your wallet', ['send'], 'You pay the gas of this one transaction.'),
            step('In a block', ['wait'], transaction === undefined ? undefined : <TransactionLink hash={transaction} explorer={deployment.explorerUrl} />),
            step('Listed here', ['index']),
          ]}
        />
        {error !== undefined && (
          <>
            <Notice tone={toWalletError(error).declined ? 'warn' : 'bad'} live>
              {error.message}
            </Notice>
            <div class="row">
              <button
                type="button"
                class="button"
                onClick={() => {
                  setError(undefined);
                  setPhase('form');
                }}
              >
                Back to the terms
              </button>
            </div>
          </>
        )}
      </div>
    );
  }

  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void run();
      }}
    >
      <fieldset class="stack">
        <legend>
          <h2>Who</h2>
        </legend>
        <div class="fields">
          <div class="field">
            <span class="label">Master</span>
            <div>
              <Address of={getAddress(wallet.address)} label="master’s address" />
            </div>
            <p class="hint">The connected wallet. It receives the fees.</p>
          </div>
          <TextField label="Name" name="name" value={form.name} change={(name) => set({ name })} wrong={wrong('name')} hint="What followers see. It is on chain and stays." />
          <RadioField
            label="How your trades are read"
            name="proof"
            value={form.proof}
            change={(proof) => set({ proof })}
            options={[
              { value: 'venue', label: 'From the venue' },
              { value: 'keeper', label: 'By a keeper' },
            ]}
            hint={
              form.proof === 'venue'
                ? 'The contract reads your position on the venue itself. Nobody has to be trusted.'
                : 'For trading on a centralised exchange: a registered keeper attests your positions.'
            }
          />
          {form.proof === 'venue' && (
            <TextField
              label="Account to follow"
              name="source"
              mono
              value={form.source}
              change={(source) => set({ source })}
              wrong={wrong('source')}
              hint="The address that trades on the venue, usually your own."
            />
          )}
          <ChecksField
            label="Markets"
            name="markets"
            chosen={form.markets}
            change={(markets) => set({ markets })}
            options={deployment.markets.map(({ symbol }) => ({ value: symbol, label: symbol }))}
            wrong={checked.problems.markets}
            hint="Only these can ever be copied."
          />
        </div>
      </fieldset>
      <fieldset class="stack">
        <legend>
          <h2>Terms</h2>
        </legend>
        <p class="quiet">Later changes wait out a notice period, in which followers can leave.</p>
        <div class="fields">
          <NumberField label="Copy fee" name="copyFee" unit="% of volume" value={form.copyFee} change={(copyFee) => set({ copyFee })} wrong={wrong('copyFee')} hint="0 to 1. Of every copied trade; a fifth goes to the insurance fund." />
          <NumberField label="Performance fee" name="performanceFee" unit="% of profit" value={form.performanceFee} change={(performanceFee) => set({ performanceFee })} wrong={wrong('performanceFee')} hint="0, or 5 to 15. Only above each follower’s high-water mark." />
          <NumberField label="Most leverage" name="maxLeverage" unit="×" value={form.maxLeverage} change={(maxLeverage) => set({ maxLeverage })} wrong={wrong('maxLeverage')} hint="At least 0.1. No follower is ever taken above it; the venue sets the upper end." />
          <NumberField label="Most slippage" name="maxSlippage" unit="%" value={form.maxSlippage} change={(maxSlippage) => set({ maxSlippage })} wrong={wrong('maxSlippage')} hint="0.01 to 10. A batch filled further off the index price reverts." />
          <NumberField label="Dead band" name="deadBand" unit="% of position" value={form.deadBand} change={(deadBand) => set({ deadBand })} wrong={wrong('deadBand')} hint="0 to 20. Smaller moves are not made." />
          <NumberField label="Smallest trade" name="minTrade" unit="USDC" value={form.minTrade} change={(minTrade) => set({ minTrade })} wrong={wrong('minTrade')} hint="1 to 10,000." />
          <NumberField label="Capacity" name="capacity" unit="USDC" value={form.capacity} change={(capacity) => set({ capacity })} wrong={wrong('capacity')} hint="Gross open notional at which nothing is increased any more." />
          <NumberField label="Disclosure delay" name="disclosureDelay" unit="s" value={form.disclosureDelay} change={(disclosureDelay) => set({ disclosureDelay })} wrong={wrong('disclosureDelay')} hint="0 to 86,400. Holds your signals back in the feed here; the batches on chain show a trade at once." />
        </div>
      </fieldset>
      <div class="spread">
        <p class="small quiet grow">One transaction from your wallet. It is tried first without sending, so a refusal costs nothing.</p>
        <button type="submit" class="button main">
          Register
        </button>
      </div>
    </form>
  );
}
