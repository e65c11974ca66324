/**
 * Who is signed in. The session itself is a cookie that no script can read; what is kept here is only whose it is and until
 * when, so that nobody is asked for it who never signed in. Signing in shows private things and moves nothing: no page
 * needs it to follow, stop, withdraw or exit.
 */
import { ApiError, get, post, remove, type Schemas } from '../api/client';
import { createStore, useStore } from '../store';
import { signMessage, type ConnectedWallet } from '../wallet/wallet';

export type Session = Schemas['Session'];

interface State {
  readonly session: Session | undefined;
  /** There was one, and the API no longer takes it. */
  readonly ended: boolean;
}

const state = createStore<State>({ session: undefined, ended: false });

const REMEMBERED = 'lockstep.session';

function remember(session: Session | undefined): void {
  try {
    if (session === undefined) localStorage.removeItem(REMEMBERED);
    else localStorage.setItem(REMEMBERED, JSON.stringify(session));
  } catch {
    // Storage may be blocked; after a reload one signs in again.
  }
}

/** Reads what was remembered; anything else than a session that still runs is none. */
export function readRemembered(text: string | null, now: number): Session | undefined {
  try {
    const { address, expiresAt } = JSON.parse(text ?? '') as Partial<Session>;
    if (typeof address !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(address) || typeof expiresAt !== 'string') return undefined;
    return Date.parse(expiresAt) > now ? { address, expiresAt } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes up the session of an earlier visit, and follows what other tabs do with it. */
export function restoreSession(): void {
  const read = (): void => {
    try {
      state.set({ session: readRemembered(localStorage.getItem(REMEMBERED), Date.now()), ended: false });
    } catch {
      // Blocked storage: nobody is signed in.
    }
  };
  read();
  window.addEventListener('storage', (event) => {
    if (event.key === REMEMBERED) read();
  });
}

/** What is private is asked for with this: a session that the API no longer takes is dropped, and said to be over. */
export async function withSession<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      remember(undefined);
      state.set({ session: undefined, ended: true });
    }
    throw error;
  }
}

/** One message in the wallet; whose signature it is, a key's or a contract's, is for the API to find out. */
export async function signIn(wallet: ConnectedWallet): Promise<void> {
  const [nonce, { loginMessage }] = await Promise.all([get('/api/v1/session/nonce', {}), import('./message')]);
  const message = loginMessage(nonce, wallet.address, location.host);
  const signature = await signMessage(wallet, message);
  const { address, expiresAt } = await post('/api/v1/session', { body: { message, signature } });
  remember({ address, expiresAt });
  state.set({ session: { address, expiresAt }, ended: false });
}

/** Ends it at the API, not only here: a cookie that was copied is worth nothing afterwards. */
export async function signOut(): Promise<void> {
  await remove('/api/v1/session', {});
  remember(undefined);
  state.set({ session: undefined, ended: false });
}

export function useSession(): State {
  return useStore(state);
}

export function sameAddress(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
