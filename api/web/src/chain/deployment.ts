/**
 * Where this deployment lives. It does not change while the page is open, so it is fetched once. It is also remembered: when
 * the API is gone, that is how a later visit still finds the contracts on the chain.
 */
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

const REMEMBERED = 'lockstep.deployment';

function remember(deployment: Deployment): void {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(deployment));
  } catch {
    // Storage may be blocked; without the API the contracts are then not found from here.
  }
}

/** Reads what was remembered; anything that does not say where the contracts are is nothing. */
export function readRememberedDeployment(text: string | null): Deployment | undefined {
  try {
    const found = JSON.parse(text ?? '') as Partial<Deployment> | null;
    const contracts = found?.contracts;
    if (!Number.isSafeInteger(found?.chainId) || contracts === undefined || typeof found?.rpcUrl !== 'string') return undefined;
    const wanted: readonly unknown[] = [contracts.registry, contracts.engine, contracts.usdc, contracts.permit2];
    return wanted.every((address) => typeof address === 'string' && /^0x[0-9a-fA-F]{40}$/.test(address)) ? (found as Deployment) : undefined;
  } catch {
    return undefined;
  }
}

/** The deployment as an earlier visit found it. */
export function rememberedDeployment(): Deployment | undefined {
  try {
    return readRememberedDeployment(localStorage.getItem(REMEMBERED));
  } catch {
    return undefined;
  }
}

const state = createStore<State>({ value: undefined, error: undefined });
let pending = false;

async function load(): Promise<void> {
  if (pending || state.get().value !== undefined) return;
  pending = true;
  try {
    const value = await get('/api/v1/deployment', {});
    remember(value);
    state.set({ value, error: undefined });
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
