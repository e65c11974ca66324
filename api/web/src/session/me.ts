/** What only the owner of an address sees: names given to accounts, and what was handed to the relay. */
import { get, put, type Schemas } from '../api/client';
import { useQuery, type Query } from '../api/query';
import { sameAddress, useSession, withSession } from './session';

export type Me = Schemas['Me'];
export type RelayRecord = Schemas['RelayRecord'];

export interface Mine extends Query<Me> {
  /** Signed in, as this address. */
  readonly signedIn: boolean;
  /** The owner's own name for the account in a vault. */
  readonly labelOf: (vault: string) => string | undefined;
  /** What the owner follows a strategy as: the name given to the account, or an empty one; nothing when they do not. */
  readonly followedAs: (strategyId: string) => string | undefined;
}

/** `address`: whose; without one, whoever is signed in. */
export function useMe(address?: string): Mine {
  const { session } = useSession();
  const signedIn = session !== undefined && (address === undefined || sameAddress(session.address, address));
  const query = useQuery(signedIn ? session.address : undefined, (signal) => withSession(() => get('/api/v1/me', { signal })), { everyMs: 30_000 });
  return {
    ...query,
    signedIn,
    labelOf: (vault) => query.data?.accounts.find((account) => sameAddress(account.vault, vault))?.label ?? undefined,
    followedAs: (strategyId) => {
      const account = query.data?.accounts.find((each) => each.strategyId === strategyId && each.status === 'active');
      return account === undefined ? undefined : (account.label ?? '');
    },
  };
}

/** An empty name removes it. */
export async function setLabel(vault: string, label: string): Promise<void> {
  await withSession(() => put('/api/v1/me/labels/{vault}', { path: { vault }, body: { label } }));
}

export const LONGEST_LABEL = 64;

/** What the API would refuse, said while it is being typed. Characters are counted as it counts them, by code point. */
export function labelProblem(text: string): string | undefined {
  const trimmed = text.trim();
  if ([...trimmed].length > LONGEST_LABEL) return `At most ${LONGEST_LABEL} characters; this has ${[...trimmed].length}.`;
  return /\p{Cc}/u.test(trimmed) ? 'No line breaks or other control characters.' : undefined;
}
