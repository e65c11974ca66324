import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Deployment } from '../chain/deployment';
import { createStore, useStore } from '../store';
import { chainName, connect, connected, disconnect, switchChain, wallets, type ConnectedWallet } from '../wallet/wallet';
import type { AnnouncedWallet } from '../wallet/discovery';
import { toWalletError } from '../wallet/errors';
import { Key, Spinner } from './icons';
import { Address, Dialog, Notice, shorten } from './parts';
import { SessionMenu } from './session';

const dialogOpen = createStore(false);

export function openWalletDialog(): void {
  dialogOpen.set(true);
}

export function useWallet(): ConnectedWallet | undefined {
  return useStore(connected);
}

export function WalletButton(): JSX.Element {
  const wallet = useWallet();
  return (
    <button type="button" class={`button small ${wallet === undefined ? 'main' : ''}`} onClick={openWalletDialog}>
      {wallet === undefined ? (
        <>
          <Key /> Connect wallet
        </>
      ) : (
        <>
          <WalletIcon wallet={wallet.wallet} small />
          <span class="sr">Wallet </span>
          <code>{shorten(wallet.address)}</code>
        </>
      )}
    </button>
  );
}

function WalletIcon({ wallet, small }: { readonly wallet: AnnouncedWallet; readonly small?: boolean }): JSX.Element {
  const size = small ? { width: '18px', height: '18px' } : undefined;
  return wallet.info.icon === '' ? (
    <span class="noicon" style={size} aria-hidden="true">
      {small ? <Key /> : wallet.info.name.slice(0, 1)}
    </span>
  ) : (
    <img src={wallet.info.icon} alt="" style={size} />
  );
}

export function WalletDialog({ deployment }: { readonly deployment: Deployment | undefined }): JSX.Element {
  const open = useStore(dialogOpen);
  const wallet = useWallet();
  const close = (): void => dialogOpen.set(false);
  return (
    <Dialog title={wallet === undefined ? 'Connect a wallet' : 'Your wallet'} open={open} close={close}>
      {wallet === undefined ? (
        <>
          <WalletList done={close} />
          <SessionMenu wallet={undefined} deployment={deployment} />
        </>
      ) : (
        <Current wallet={wallet} deployment={deployment} close={close} />
      )}
    </Dialog>
  );
}

function Current({ wallet, deployment, close }: { readonly wallet: ConnectedWallet; readonly deployment: Deployment | undefined; readonly close: () => void }): JSX.Element {
  return (
    <>
      <dl class="facts">
        <div>
          <dt>Wallet</dt>
          <dd>{wallet.wallet.info.name}</dd>
        </div>
        <div>
          <dt>Address</dt>
          <dd>
            <Address of={wallet.address} />
          </dd>
        </div>
        <div>
          <dt>Network</dt>
          <dd>
            {wallet.chainId === undefined ? 'unknown' : `${chainName(wallet.chainId)} (${wallet.chainId})`}
            {deployment !== undefined && wallet.chainId !== deployment.chainId && <span class="loss"> – not this service’s</span>}
          </dd>
        </div>
      </dl>
      <SessionMenu wallet={wallet} deployment={deployment} />
      <div class="row">
        <a class="button small" href="/account" onClick={close}>
          My account
        </a>
        <button
          type="button"
          class="button small"
          onClick={() => {
            disconnect();
            close();
          }}
        >
          Disconnect
        </button>
      </div>
    </>
  );
}

/** Every wallet that announced itself; connecting asks that wallet and no other. */
export function WalletList({ done }: { readonly done?: () => void }): JSX.Element {
  const list = useStore(wallets);
  const [busy, setBusy] = useState<string>();
  const [error, setError] = useState<Error>();

  async function choose(wallet: AnnouncedWallet): Promise<void> {
    setBusy(wallet.info.uuid);
    setError(undefined);
    try {
      await connect(wallet);
      done?.();
    } catch (reason) {
      setError(toWalletError(reason));
    } finally {
      setBusy(undefined);
    }
  }

  if (list.length === 0) {
    return (
      <Notice>
        <p>
          <strong>No wallet was found in this browser.</strong>
        </p>
        <p>
          Lockstep never holds your keys: you sign with a wallet of your own, such as a browser extension or a wallet app’s
          built-in browser. Install one or open this page there; it appears here by itself. Reading everything else needs no
          wallet.
        </p>
      </Notice>
    );
  }
  return (
    <>
      <ul class="wallets">
        {list.map((wallet) => (
          <li key={wallet.info.uuid}>
            <button type="button" class="button" disabled={busy !== undefined} onClick={() => void choose(wallet)}>
              <WalletIcon wallet={wallet} />
              {wallet.info.name}
              {busy === wallet.info.uuid && <Spinner />}
            </button>
          </li>
        ))}
      </ul>
      {busy !== undefined && (
        <p class="small quiet" role="status">
          Answer the request in your wallet.
        </p>
      )}
      {error !== undefined && (
        <Notice tone="bad" live>
          {error.message}
        </Notice>
      )}
      <p class="small quiet">Connecting shows this page your address. It moves nothing and signs nothing.</p>
    </>
  );
}

interface GateProps {
  readonly deployment: Deployment;
  readonly why: string;
  /** Draw a sheet around what stands in for the children; they bring their own. */
  readonly framed?: boolean;
  readonly children: (wallet: ConnectedWallet) => ComponentChildren;
}

/** Lets through once a wallet is connected and on the right chain; helps with either where not. */
export function WalletGate({ deployment, why, framed, children }: GateProps): JSX.Element {
  const wallet = useWallet();
  const frame = framed ? 'sheet pad' : '';
  if (wallet === undefined) {
    return (
      <div class={`stack tight ${frame}`}>
        <p>{why}</p>
        <WalletList />
      </div>
    );
  }
  if (wallet.chainId !== deployment.chainId) {
    return (
      <div class={frame}>
        <ChainGate wallet={wallet} deployment={deployment} />
      </div>
    );
  }
  return <>{children(wallet)}</>;
}

function ChainGate({ wallet, deployment }: { readonly wallet: ConnectedWallet; readonly deployment: Deployment }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const target = chainName(deployment.chainId);

  async function change(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await switchChain(wallet, {
        chainId: deployment.chainId,
        rpcUrl: deployment.rpcUrl ?? null,
        explorerUrl: deployment.explorerUrl ?? null,
      });
    } catch (reason) {
      setError(toWalletError(reason));
    } finally {
      setBusy(false);
    }
  }

  return (
    <div class="stack tight">
      <Notice tone="warn">
        <p>
          {wallet.wallet.info.name} is on {wallet.chainId === undefined ? 'an unknown network' : `${chainName(wallet.chainId)} (${wallet.chainId})`}.
          This strategy lives on {target} ({deployment.chainId}), and a signature is only good for one network.
        </p>
        <p class="row">
          <button type="button" class="button main" disabled={busy} onClick={() => void change()}>
            {busy && <Spinner />} Switch to {target}
          </button>
        </p>
      </Notice>
      {error !== undefined && (
        <Notice tone="bad" live>
          {error.message}
        </Notice>
      )}
    </div>
  );
}
