/** The exit that needs nobody else: a transaction of the follower's own wallet, straight to the vault. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { encodeFunctionData, getAddress } from 'viem';
import { vaultAbi } from '../../chain/abi';
import type { Deployment } from '../../chain/deployment';
import { explainRevert, receiptOf, simulate } from '../../chain/read';
import { parseTyped } from '../../units/amount';
import { toWalletError } from '../../wallet/errors';
import { sendTransaction, type ConnectedWallet } from '../../wallet/wallet';
import { NumberField } from '../../ui/fields';
import { Address, Notice, Progress, TransactionLink, stepsOf } from '../../ui/parts';

type ExitPhase = 'ask' | 'check' | 'send' | 'wait' | 'done';
const EXIT_ORDER: readonly ExitPhase[] = ['check', 'send', 'wait', 'done'];

interface Props {
  readonly vault: string;
  readonly wallet: ConnectedWallet;
  readonly deployment: Deployment;
  readonly done: () => void;
}

export function ExitForm({ vault: of, wallet, deployment, done }: Props): JSX.Element {
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
      const vault = getAddress(of);
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

  const step = stepsOf(EXIT_ORDER, phase, error !== undefined);
  return (
    <>
      {phase === 'ask' ? (
        <>
          <p>
            Your wallet sends <code>exit</code> to the vault <Address of={of} label="vault’s address" />. It closes all your positions at
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
              cast send {of} 'exit(uint256)' {typed.ok && wrong === undefined ? typed.value.toString() : '100'} --rpc-url{' '}
              {deployment.rpcUrl ?? '$RPC_URL'} --interactive
            </pre>
          </details>
        </>
      ) : (
        <Progress
          steps={[
            step('Tried without sending', ['check']),
            step('Send from your wallet', ['send']),
            step('In a block', ['wait'], transaction === undefined ? undefined : <TransactionLink hash={transaction} explorer={deployment.explorerUrl} />),
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
