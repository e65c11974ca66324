/** The running stack that `flows.test.ts` drives, and wallets with money on its chain. */
import { createPublicClient, createWalletClient, getAddress, http, parseAbi, parseEther, type Address, type Hex, type PublicClient } from 'viem';
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import type { components } from '../../../api/web/src/api/schema';

type Schemas = components['schemas'];

export const tokenAbi = parseAbi([
  'function balanceOf(address) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function mint(address to, uint256 value)',
]);

export const vaultAbi = parseAbi([
  'struct AccountView { address follower; uint8 status; uint8 mode; uint32 ratioBps; uint64 fixedNotional; uint32 maxLeverageBps; uint16 maxSlippageBps; uint64 maxPositionNotional; uint64 maxDailyTurnover; uint16 stopLossBps; uint32 takeProfitBps; uint16 allowedMarkets; uint16 touchedMarkets; uint64 expiry; uint256 margin; uint256 highWaterMark; uint256 netDeposits; }',
  'function accountOf(address follower) view returns (uint32)',
  'function accountView(uint32 account) view returns (AccountView)',
  'function equityOf(uint32 account) view returns (int256)',
  'function navCount() view returns (uint256)',
  'function checkpoint() returns (uint256)',
]);

/** `Status` of `LockstepTypes.sol`. */
export const STATUS = { active: 1, stopped: 2 } as const;

export interface Stack {
  readonly url: string;
  readonly rpcUrl: string;
  readonly chain: PublicClient;
  readonly deployment: Schemas['Deployment'];
  api<T>(path: string): Promise<T>;
  usdcOf(who: Address): Promise<bigint>;
  /** A new key with `usdc` whole USDC and, unless told otherwise, a little ether. */
  fund(usdc: bigint, ether?: string): Promise<Hex>;
  /** Sends a call from the funding account and waits for it. */
  send(to: Address, data: Hex): Promise<void>;
}

/** The keys every local chain is born with; worth nothing anywhere else. `script/up` lends out the eighth to tenth. */
const LOCAL_MNEMONIC = 'test test test test test test test test test test test junk';

export async function connectStack(url: string): Promise<Stack> {
  const base = url.replace(/\/$/, '');
  const api = async <T>(path: string): Promise<T> => {
    const reply = await fetch(`${base}/api/v1${path}`);
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return (await reply.json()) as T;
  };
  const deployment = await api<Schemas['Deployment']>('/deployment');
  const rpcUrl = process.env['LOCKSTEP_RPC'] ?? deployment.rpcUrl;
  if (rpcUrl === null || rpcUrl === undefined) throw new Error('LOCKSTEP_RPC is needed: the deployment publishes none');
  const key = process.env['LOCKSTEP_FUNDED_KEY'] as Hex | undefined;
  const funder = key === undefined ? mnemonicToAccount(LOCAL_MNEMONIC, { addressIndex: 9 }) : privateKeyToAccount(key);
  const chain = createPublicClient({ transport: http(rpcUrl), pollingInterval: 500 });
  const wallet = createWalletClient({ account: funder, transport: http(rpcUrl) });
  const usdc = getAddress(deployment.contracts.usdc);
  const wait = async (hash: Hex): Promise<void> => {
    const receipt = await chain.waitForTransactionReceipt({ hash, timeout: 60_000 });
    if (receipt.status !== 'success') throw new Error(`${hash} was reverted`);
  };
  return {
    url: base,
    rpcUrl,
    chain,
    deployment,
    api,
    usdcOf: (who) => chain.readContract({ address: usdc, abi: tokenAbi, functionName: 'balanceOf', args: [who] }),
    fund: async (amount, ether = '1') => {
      const fresh = generatePrivateKey();
      const { address } = privateKeyToAccount(fresh);
      if (amount > 0n) await wait(await wallet.writeContract({ address: usdc, abi: tokenAbi, functionName: 'mint', args: [address, amount * 10n ** 6n], chain: null }));
      if (ether !== '0') await wait(await wallet.sendTransaction({ to: address, value: parseEther(ether), chain: null }));
      return fresh;
    },
    send: async (to, data) => {
      const gas = await chain.estimateGas({ account: funder, to, data });
      await wait(await wallet.sendTransaction({ to, data, gas: gas * 2n, chain: null }));
    },
  };
}

/** Asks until the answer is something, or says what was never seen. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>, withinMs = 60_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
