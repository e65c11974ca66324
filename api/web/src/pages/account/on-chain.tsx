/**
 * What is left of this page without the API: the accounts as the chain itself has them, and the way out. It is part of the
 * page and not fetched when needed, as what serves it may be gone by then.
 */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Address as HexAddress } from 'viem';
import { ApiError } from '../../api/client';
import { useQuery } from '../../api/query';
import type { Deployment } from '../../chain/deployment';
import { readChainAccounts, type ChainAccount } from '../../chain/read';
import type { ConnectedWallet } from '../../wallet/wallet';
import { Figure, None, Usdc } from '../../ui/figures';
import { Address, Blank, Dialog, Failure, Loading, Notice, Tag } from '../../ui/parts';
import { WalletGate } from '../../ui/wallet';
import { ExitForm } from './exit';

interface Props {
  readonly address: HexAddress;
  /** Set when the wallet shown is the one connected. */
  readonly wallet: ConnectedWallet | undefined;
  /** From this visit or an earlier one. */
  readonly deployment: Deployment | undefined;
  /** Why the API gave nothing. */
  readonly error: Error;
  readonly retry: () => void;
}

export function OnChain({ address, wallet, deployment, error, retry }: Props): JSX.Element {
  const found = useQuery(deployment === undefined ? undefined : address, (signal) => readChainAccounts(deployment as Deployment, address, signal), { everyMs: 15_000 });
  return (
    <div class="stack">
      <Notice tone="bad" live>
        <p>
          {/* One that refuses is there: that it is unreachable would be false. */}
          <strong>{error instanceof ApiError && error.status >= 400 && error.status < 500 ? 'The API gave no accounts.' : 'The API is unreachable.'}</strong> {error.message}
        </p>
        <p>
          {deployment === undefined
            ? 'This browser has not seen it work before, so it does not know where the contracts are and cannot read the chain by itself.'
            : 'The accounts below are read from the chain by this page. Your money is there, and leaving needs nobody; names, results, bounds and fills are missing until the API is back.'}
        </p>
        <p class="row">
          <button type="button" class="button small" onClick={retry}>
            Try again
          </button>
        </p>
      </Notice>
      {deployment === undefined ? (
        <ByHand />
      ) : (
        <>
          {found.error !== undefined && <Failure error={found.error} retry={found.refresh} />}
          {found.data === undefined ? (
            found.error === undefined && <Loading what="your accounts from the chain" framed />
          ) : found.data.accounts.length === 0 ? (
            <div class="sheet">
              <Blank title="This address has no account on the chain">
                <p>No vault of the registry knew it at block {found.data.block.toString()}.</p>
              </Blank>
            </div>
          ) : (
            found.data.accounts.map((account) => <ChainCard key={account.vault} account={account} wallet={wallet} deployment={deployment} refresh={found.refresh} />)
          )}
        </>
      )}
    </div>
  );
}

interface CardProps {
  readonly account: ChainAccount;
  readonly wallet: ConnectedWallet | undefined;
  readonly deployment: Deployment;
  readonly refresh: () => void;
}

function ChainCard({ account, wallet, deployment, refresh }: CardProps): JSX.Element {
  const [leaving, setLeaving] = useState(false);
  const { live } = account;
  const id = `chain-${account.vault}`;
  const unknown = <None why="the venue gives no price now" />;
  const close = (): void => {
    setLeaving(false);
    refresh();
  };
  return (
    <section class="sheet account" aria-labelledby={id}>
      <div class="pad spread">
        <div class="names">
          <h2 id={id} class="anywhere">
            {account.strategyName}
          </h2>
          <div class="row small quiet">
            <Tag>from the chain</Tag>
            <span>account {account.account}</span>
            <span>
              vault <Address of={account.vault} label="vault’s address" />
            </span>
            {live !== undefined && <span>block {live.block.toString()}</span>}
          </div>
        </div>
        {wallet !== undefined && (
          <button type="button" class="button small grave" onClick={() => setLeaving(true)}>
            Exit on my own…
          </button>
        )}
      </div>
      <dl class="figures fewer">
        <Figure label="Equity" tip="Margin + value of open positions at the venue’s index prices, from the vault itself (equityOf).">
          {live === undefined ? unknown : <Usdc of={live.equity} />}
        </Figure>
        <Figure label="Free" tip="What could be withdrawn now without breaking your leverage bound or the venue’s margin (freeMarginOf).">
          {live === undefined ? unknown : <Usdc of={live.free} />}
        </Figure>
        <Figure label="Liquidated below" tip="The equity under which the account’s positions would be closed for it; zero when none is open (maintenanceOf).">
          {live === undefined ? unknown : <Usdc of={live.maintenance} />}
        </Figure>
      </dl>
      {wallet !== undefined && (
        <Dialog title="Exit without Lockstep" open={leaving} close={close}>
          <WalletGate deployment={deployment} why="Connect your wallet.">
            {(ready) => <ExitForm vault={account.vault} wallet={ready} deployment={deployment} done={close} />}
          </WalletGate>
        </Dialog>
      )}
    </section>
  );
}

/** Without the contracts' addresses only the vault's own is needed, and the wallet has it in its history. */
function ByHand(): JSX.Element {
  return (
    <section class="sheet pad" aria-labelledby="by-hand">
      <h2 id="by-hand">Leave by hand</h2>
      <p>
        The vault is the contract you signed your mandate for: its address is in the mandate and in your wallet’s history. Any tool that can send a
        transaction from your address will do; with Foundry’s <code>cast</code>, accepting prices up to 1 % off the index:
      </p>
      <pre class="raw">cast send $VAULT 'exit(uint256)' 100 --rpc-url $RPC_URL --interactive</pre>
    </section>
  );
}
