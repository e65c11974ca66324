import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Deployment } from '../chain/deployment';
import { signIn, signOut, useSession, sameAddress } from '../session/session';
import { messageOf, WalletError } from '../wallet/errors';
import { chainName, type ConnectedWallet } from '../wallet/wallet';
import { Time } from './figures';
import { Key, Spinner } from './icons';
import { Address, Notice, Tag } from './parts';

interface Running {
  readonly busy: 'in' | 'out' | undefined;
  readonly error: Error | undefined;
  readonly enter: (wallet: ConnectedWallet) => void;
  readonly leave: () => void;
}

function useSigning(): Running {
  const [busy, setBusy] = useState<'in' | 'out'>();
  const [error, setError] = useState<Error>();
  const run = (which: 'in' | 'out', what: () => Promise<void>): void => {
    setBusy(which);
    setError(undefined);
    what()
      .catch((reason: unknown) => setError(reason instanceof Error ? reason : new Error(messageOf(reason))))
      .finally(() => setBusy(undefined));
  };
  return { busy, error, enter: (wallet) => run('in', () => signIn(wallet)), leave: () => run('out', signOut) };
}

function Trouble({ error }: { readonly error: Error | undefined }): JSX.Element | null {
  if (error === undefined) return null;
  return (
    <Notice tone={error instanceof WalletError && error.declined ? 'warn' : 'bad'} live>
      {error.message}
    </Notice>
  );
}

interface SignInProps {
  readonly wallet: ConnectedWallet;
  readonly deployment: Deployment | undefined;
}

/** Says what signing in is for and what it is not, and does it. */
export function SignIn({ wallet, deployment }: SignInProps): JSX.Element {
  const { session, ended } = useSession();
  const { busy, error, enter } = useSigning();
  const other = session !== undefined && !sameAddress(session.address, wallet.address);
  const elsewhere = deployment !== undefined && wallet.chainId !== deployment.chainId;
  return (
    <div class="stack tight">
      {ended && (
        <Notice tone="warn" live>
          Your session is over. Sign in again to see what is private.
        </Notice>
      )}
      <p>
        Sign in to name your accounts and to see every request you have sent. Your wallet shows a message; signing it moves nothing, allows
        nothing and costs nothing. Following, stopping and withdrawing never need it.
      </p>
      <p class="small quiet">
        Contract wallets work too (ERC-1271): the contract itself is asked whether the signature is its own. If several owners have to sign,
        leave this page open until the last one has.
        {elsewhere && ` A contract wallet has to be on ${chainName(deployment.chainId)} for that.`}
      </p>
      {other && (
        <p class="small quiet">
          You are signed in as <Address of={session.address} />; signing in as this account takes its place.
        </p>
      )}
      <div class="row">
        <button type="button" class="button main" disabled={busy !== undefined} onClick={() => enter(wallet)}>
          {busy === undefined ? <Key /> : <Spinner />} Sign in
        </button>
        {busy !== undefined && (
          <span class="small quiet" role="status">
            Answer the request in your wallet.
          </span>
        )}
      </div>
      <Trouble error={error} />
    </div>
  );
}

/** Who is signed in and until when, with the way out. */
export function SignedIn(): JSX.Element | null {
  const { session } = useSession();
  const { busy, error, leave } = useSigning();
  if (session === undefined) return null;
  return (
    <div class="stack tight">
      <div class="row small quiet">
        <span>
          Signed in until <Time of={session.expiresAt} />
        </span>
        <button type="button" class="button small" disabled={busy !== undefined} onClick={leave}>
          {busy !== undefined && <Spinner />} Sign out
        </button>
      </div>
      <Trouble error={error} />
    </div>
  );
}

/** Marks a strategy that whoever is signed in follows, by the name they gave it. */
export function Followed({ as }: { readonly as: string | undefined }): JSX.Element | null {
  if (as === undefined) return null;
  return (
    <Tag tone="good">
      <a class="lead" href="/account">
        {as === '' ? 'You follow this' : `You follow this as “${as}”`}
      </a>
    </Tag>
  );
}

/** In the wallet's menu: signed in or not, as whom, and the button for the other. */
export function SessionMenu({ wallet, deployment }: { readonly wallet: ConnectedWallet | undefined; readonly deployment: Deployment | undefined }): JSX.Element | null {
  const { session } = useSession();
  if (session !== undefined && (wallet === undefined || sameAddress(session.address, wallet.address))) {
    return (
      <section class="menu-part" aria-label="Session">
        {wallet === undefined && (
          <p class="small quiet">
            <Address of={session.address} />
          </p>
        )}
        <SignedIn />
      </section>
    );
  }
  if (wallet === undefined) return null;
  return (
    <section class="menu-part" aria-label="Session">
      <SignIn wallet={wallet} deployment={deployment} />
    </section>
  );
}
