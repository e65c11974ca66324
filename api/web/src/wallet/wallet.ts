/** The connected wallet: who it is, which chain it is on, and the few requests this page makes of it. */
import type { Address, Hex } from 'viem';
import { toWalletJson, type TypedData } from '../chain/typed-data';
import { createStore } from '../store';
import { discoverWallets, type AnnouncedWallet } from './discovery';
import { isUnknownChain, toWalletError, WalletError } from './errors';

export interface ConnectedWallet {
  readonly wallet: AnnouncedWallet;
  readonly address: Address;
  /** `undefined` until the wallet has said. */
  readonly chainId: number | undefined;
}

export interface ChainToAdd {
  readonly chainId: number;
  readonly rpcUrl: string | null;
  readonly explorerUrl: string | null;
}

export const wallets = createStore<readonly AnnouncedWallet[]>([]);
export const connected = createStore<ConnectedWallet | undefined>(undefined);

const REMEMBERED = 'lockstep.wallet';

function remember(rdns: string | undefined): void {
  try {
    if (rdns === undefined) localStorage.removeItem(REMEMBERED);
    else localStorage.setItem(REMEMBERED, rdns);
  } catch {
    // Storage may be blocked; the wallet is then asked for again.
  }
}

function remembered(): string | undefined {
  try {
    return localStorage.getItem(REMEMBERED) ?? undefined;
  } catch {
    return undefined;
  }
}

let stopListening: (() => void) | undefined;

function firstAddress(accounts: unknown): Address | undefined {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : undefined;
  return typeof first === 'string' && /^0x[0-9a-fA-F]{40}$/.test(first) ? (first as Address) : undefined;
}

function chainNumber(chainId: unknown): number | undefined {
  const value = typeof chainId === 'string' ? Number.parseInt(chainId, chainId.startsWith('0x') ? 16 : 10) : Number(chainId);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

async function adopt(wallet: AnnouncedWallet, address: Address): Promise<ConnectedWallet> {
  const chainId = chainNumber(await wallet.provider.request({ method: 'eth_chainId' }));
  const next: ConnectedWallet = { wallet, address, chainId };
  listen(wallet);
  connected.set(next);
  remember(wallet.info.rdns);
  return next;
}

function listen(wallet: AnnouncedWallet): void {
  stopListening?.();
  const { provider } = wallet;
  const change = (next: Partial<ConnectedWallet>): void => {
    const before = connected.get();
    if (before !== undefined && before.wallet === wallet) connected.set({ ...before, ...next });
  };
  const onAccounts = (accounts: unknown): void => {
    const address = firstAddress(accounts);
    if (address === undefined) disconnect();
    else change({ address });
  };
  const onChain = (chainId: unknown): void => change({ chainId: chainNumber(chainId) });
  provider.on?.('accountsChanged', onAccounts);
  provider.on?.('chainChanged', onChain);
  stopListening = () => {
    provider.removeListener?.('accountsChanged', onAccounts);
    provider.removeListener?.('chainChanged', onChain);
    stopListening = undefined;
  };
}

/** Starts discovery once; a wallet that was connected last time is taken up again without asking. */
export function startDiscovery(): () => void {
  const before = remembered();
  let tried = false;
  return discoverWallets((list) => {
    wallets.set(list);
    const known = list.find(({ info }) => info.rdns !== '' && info.rdns === before);
    if (known === undefined || tried || connected.get() !== undefined) return;
    tried = true;
    known.provider.request({ method: 'eth_accounts' }).then(
      async (accounts) => {
        const address = firstAddress(accounts);
        if (address !== undefined && connected.get() === undefined) await adopt(known, address);
      },
      () => undefined,
    ).catch(() => undefined);
  });
}

/** Asks the wallet for an account. */
export async function connect(wallet: AnnouncedWallet): Promise<ConnectedWallet> {
  try {
    const address = firstAddress(await wallet.provider.request({ method: 'eth_requestAccounts' }));
    if (address === undefined) throw new WalletError('The wallet gave no account.');
    return await adopt(wallet, address);
  } catch (error) {
    throw toWalletError(error);
  }
}

export function disconnect(): void {
  stopListening?.();
  remember(undefined);
  connected.set(undefined);
}

/** The name a wallet shows for a chain that only this page knows. */
export function chainName(chainId: number): string {
  return chainId === 31337 ? 'Local chain' : chainId === 10 ? 'OP Mainnet' : `Chain ${chainId}`;
}

/** Puts the wallet on the deployment's chain; tells it about the chain when it does not know it. */
export async function switchChain(current: ConnectedWallet, chain: ChainToAdd): Promise<void> {
  const { provider } = current.wallet;
  const chainId = `0x${chain.chainId.toString(16)}`;
  try {
    try {
      await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] });
    } catch (error) {
      if (!isUnknownChain(error)) throw error;
      if (chain.rpcUrl === null) {
        throw new WalletError(`The wallet does not know chain ${chain.chainId}, and this service publishes no address for it.`);
      }
      await provider.request({
        method: 'wallet_addEthereumChain',
        params: [
          {
            chainId,
            chainName: chainName(chain.chainId),
            nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
            rpcUrls: [chain.rpcUrl],
            ...(chain.explorerUrl === null ? {} : { blockExplorerUrls: [chain.explorerUrl] }),
          },
        ],
      });
      await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] });
    }
    // Wallets also say so by `chainChanged`, but some only later.
    const now = chainNumber(await provider.request({ method: 'eth_chainId' }));
    const before = connected.get();
    if (before !== undefined && before.wallet === current.wallet) connected.set({ ...before, chainId: now });
    if (now !== chain.chainId) throw new WalletError(`The wallet stayed on chain ${now ?? 'unknown'}.`);
  } catch (error) {
    throw toWalletError(error);
  }
}

async function sign(current: ConnectedWallet, method: string, params: readonly unknown[]): Promise<Hex> {
  try {
    const signature = await current.wallet.provider.request({ method, params });
    if (typeof signature !== 'string' || !/^0x([0-9a-fA-F]{2})+$/.test(signature)) {
      throw new WalletError('The wallet gave no signature.');
    }
    return signature as Hex;
  } catch (error) {
    throw toWalletError(error);
  }
}

/** `eth_signTypedData_v4`. */
export function signTypedData(current: ConnectedWallet, data: TypedData): Promise<Hex> {
  return sign(current, 'eth_signTypedData_v4', [current.address, toWalletJson(data)]);
}

/** `personal_sign` (EIP-191). The text travels as bytes: some wallets take a plain text that looks like hex for bytes. */
export function signMessage(current: ConnectedWallet, text: string): Promise<Hex> {
  const bytes = [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return sign(current, 'personal_sign', [`0x${bytes}`, current.address]);
}

/** `eth_sendTransaction`; fees are the wallet's to choose. */
export async function sendTransaction(current: ConnectedWallet, to: Address, data: Hex, gas: bigint): Promise<Hex> {
  try {
    const hash = await current.wallet.provider.request({
      method: 'eth_sendTransaction',
      params: [{ from: current.address, to, data, value: '0x0', gas: `0x${gas.toString(16)}` }],
    });
    if (typeof hash !== 'string' || !/^0x[0-9a-fA-F]{64}$/.test(hash)) {
      throw new WalletError('The wallet did not say which transaction it sent.');
    }
    return hash as Hex;
  } catch (error) {
    throw toWalletError(error);
  }
}
