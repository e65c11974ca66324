/**
 * A wallet as a browser extension would be: announced by EIP-6963 in the page, with its keys outside of it. Every request
 * crosses one bridge, so that a test sees exactly what the page asked to be signed or sent.
 */
import type { Page } from 'playwright-core';
import { createWalletClient, hexToString, http, type Address, type Hex } from 'viem';
import { privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts';

export interface Signed {
  readonly domain: Record<string, unknown>;
  readonly primaryType: string;
  readonly types: Record<string, readonly { name: string; type: string }[]>;
  readonly message: Record<string, unknown>;
}

export interface Sent {
  readonly to: Address;
  readonly data: Hex;
  readonly hash: Hex;
}

export interface TestWallet {
  readonly account: PrivateKeyAccount;
  readonly signed: Signed[];
  /** Texts signed by `personal_sign`. */
  readonly messages: string[];
  readonly sent: Sent[];
  readonly requests: string[];
  /** The next request to sign or send is declined, as a person would. */
  declineNext(): void;
}

export interface WalletOptions {
  readonly key: Hex;
  /** Messages are signed with this key instead: a signature that is not the account's. */
  readonly signsWith?: Hex;
  readonly name?: string;
  readonly rdns?: string;
  /** Where transactions go. */
  readonly rpcUrl?: string;
  /** Chains the wallet knows, the first being the one it is on. */
  readonly chains: readonly number[];
}

interface Reply {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

const ICON =
  'data:image/svg+xml,' +
  encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#6a4bd8"/><circle cx="16" cy="16" r="7" fill="#fff"/></svg>');

let bridges = 0;

export async function addWallet(page: Page, options: WalletOptions): Promise<TestWallet> {
  const account = privateKeyToAccount(options.key);
  const known = new Set(options.chains);
  let chain = options.chains[0] ?? 1;
  let decline = false;
  const wallet: TestWallet = { account, signed: [], messages: [], sent: [], requests: [], declineNext: () => (decline = true) };
  const refused = (): Reply | undefined => {
    if (!decline) return undefined;
    decline = false;
    return { error: { code: 4001, message: 'User rejected the request.' } };
  };

  async function answer(method: string, params: unknown[]): Promise<Reply> {
    wallet.requests.push(method);
    switch (method) {
      case 'eth_requestAccounts':
        return refused() ?? { result: [account.address.toLowerCase()] };
      case 'eth_accounts':
        return { result: [account.address.toLowerCase()] };
      case 'eth_chainId':
        return { result: `0x${chain.toString(16)}` };
      case 'wallet_switchEthereumChain': {
        const wanted = Number((params[0] as { chainId: string }).chainId);
        if (!known.has(wanted)) return { error: { code: 4902, message: 'Unrecognized chain ID.' } };
        chain = wanted;
        return { result: null };
      }
      case 'wallet_addEthereumChain': {
        const added = params[0] as { chainId: string; rpcUrls: string[] };
        if (added.rpcUrls.length === 0) return { error: { code: -32602, message: 'rpcUrls is empty' } };
        known.add(Number(added.chainId));
        return { result: null };
      }
      case 'eth_signTypedData_v4': {
        const no = refused();
        if (no !== undefined) return no;
        const [who, text] = params as [string, string];
        if (who.toLowerCase() !== account.address.toLowerCase()) return { error: { code: 4100, message: 'Unknown account.' } };
        const data = JSON.parse(text) as Signed;
        if (Number(data.domain['chainId']) !== chain) return { error: { code: -32603, message: 'Provided chainId must match the active chainId' } };
        wallet.signed.push(data);
        const { EIP712Domain: _domain, ...types } = data.types;
        return { result: await account.signTypedData({ domain: data.domain, types, primaryType: data.primaryType, message: data.message } as Parameters<typeof account.signTypedData>[0]) };
      }
      case 'personal_sign': {
        const no = refused();
        if (no !== undefined) return no;
        const [raw, who] = params as [Hex, string];
        if (who.toLowerCase() !== account.address.toLowerCase()) return { error: { code: 4100, message: 'Unknown account.' } };
        wallet.messages.push(hexToString(raw));
        return { result: await (options.signsWith === undefined ? account : privateKeyToAccount(options.signsWith)).signMessage({ message: { raw } }) };
      }
      case 'eth_sendTransaction': {
        const no = refused();
        if (no !== undefined) return no;
        const { to, data, gas } = params[0] as { to: Address; data: Hex; gas?: Hex };
        if (options.rpcUrl === undefined) return { error: { code: 4900, message: 'Disconnected.' } };
        const client = createWalletClient({ account, transport: http(options.rpcUrl) });
        const hash = await client.sendTransaction({ to, data, chain: null, ...(gas === undefined ? {} : { gas: BigInt(gas) }) });
        wallet.sent.push({ to, data, hash });
        return { result: hash };
      }
      default:
        return { error: { code: 4200, message: `${method} is not supported` } };
    }
  }

  bridges += 1;
  const bridge = `__wallet${bridges}`;
  await page.exposeFunction(bridge, async (method: string, params: unknown[]): Promise<Reply> => {
    try {
      return await answer(method, params);
    } catch (error) {
      return { error: { code: -32603, message: error instanceof Error ? error.message : String(error) } };
    }
  });
  const info = { uuid: `350670db-19fa-4704-a166-e52e178b59d${bridges % 10}`, name: options.name ?? 'Test Wallet', rdns: options.rdns ?? `test.wallet${bridges}`, icon: ICON };
  await page.addInitScript(
    ({ bridge: name, info: announced }) => {
      type Listener = (payload: unknown) => void;
      const listeners = new Map<string, Set<Listener>>();
      const emit = (event: string, payload: unknown): void => listeners.get(event)?.forEach((listener) => listener(payload));
      const provider = {
        async request({ method, params }: { method: string; params?: unknown[] }): Promise<unknown> {
          const call = (window as unknown as Record<string, (method: string, params: unknown[]) => Promise<Reply>>)[name];
          if (call === undefined) throw new Error('no bridge');
          const reply = await call(method, params ?? []);
          if (reply.error !== undefined) throw Object.assign(new Error(reply.error.message), { code: reply.error.code });
          if (method === 'wallet_switchEthereumChain') emit('chainChanged', (params?.[0] as { chainId: string }).chainId);
          return reply.result;
        },
        on(event: string, listener: Listener): void {
          const set = listeners.get(event) ?? new Set();
          set.add(listener);
          listeners.set(event, set);
        },
        removeListener(event: string, listener: Listener): void {
          listeners.get(event)?.delete(listener);
        },
      };
      interface Reply {
        result?: unknown;
        error?: { code: number; message: string };
      }
      const announce = (): void => {
        window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info: Object.freeze(announced), provider }) }));
      };
      window.addEventListener('eip6963:requestProvider', announce);
      announce();
    },
    { bridge, info },
  );
  return wallet;
}

/** Connects the wallet by its name, as a person would. */
export async function connectWallet(page: Page, name = 'Test Wallet'): Promise<void> {
  await page.getByRole('button', { name: 'Connect wallet' }).click();
  await page.getByRole('dialog').getByRole('button', { name }).click();
  await page.getByRole('button', { name: /Wallet 0x/ }).waitFor();
}
