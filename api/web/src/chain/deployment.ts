/** Where this deployment lives. It does not change while the page is open, so it is fetched once. */
import { useEffect, useState } from 'preact/hooks';
import type { Address } from 'viem';
import { get, type Schemas } from '../api/client';
import { createStore, useStore } from '../store';
import { messageOf } from '../wallet/errors';
import type { Domains } from './typed-data';

export type Deployment = Schemas['Deployment'];

interface State {
  readonly value: Deployment | undefined;
  readonly error: Error | undefined;
}

const state = createStore<State>({ value: undefined, error: undefined });
let pending = false;

async function load(): Promise<void> {
  if (pending || state.get().value !== undefined) return;
  pending = true;
  try {
    state.set({ value: await get('/api/v1/deployment', {}), error: undefined });
  } catch (error) {
    state.set({ value: undefined, error: error instanceof Error ? error : new Error(messageOf(error)) });
  } finally {
    pending = false;
  }
}

export function useDeployment(): State & { readonly retry: () => void } {
  const current = useStore(state);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    void load();
  }, [turn]);
  return { ...current, retry: () => setTurn((before) => before + 1) };
}

export function domainsOf(deployment: Deployment): Domains {
  return {
    chainId: deployment.chainId,
    engine: deployment.contracts.engine as Address,
    permit2: deployment.contracts.permit2 as Address,
    usdc: deployment.contracts.usdc as Address,
  };
}
