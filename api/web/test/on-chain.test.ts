import { decodeFunctionData, encodeErrorResult, encodeFunctionResult, isAddressEqual, type Hex } from 'viem';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { registryAbi, vaultAbi } from '../src/chain/abi';
import { readRememberedDeployment, type Deployment } from '../src/chain/deployment';
import { ChainReadError, readChainAccounts } from '../src/chain/read';

const address = (seed: number): Hex => `0x${seed.toString(16).padStart(40, '0')}`;
const FOLLOWER = address(0xf0110);

let nodes = 0;

function deployment(): Deployment {
  nodes += 1;
  const [registry, engine, usdc, permit2] = [address(1), address(2), address(3), address(4)];
  return {
    chainId: 31_337,
    deploymentBlock: 1,
    contracts: { registry, engine, usdc, permit2, liquidator: address(5), insurance: address(6), venue: address(7) },
    // Clients are kept by address.
    rpcUrl: `http://node-${nodes}.example/`,
    explorerUrl: null,
    markets: [],
  } as unknown as Deployment;
}

interface Vault {
  readonly account: number;
  readonly equity: bigint | 'no price';
}

/** A node with these vaults, by strategy, as of block 77. */
function node(strategies: readonly (readonly Vault[])[]): { readonly blocks: Set<unknown>; readonly largest: () => number } {
  const blocks = new Set<unknown>();
  let largest = 0;
  const vaultOf = (strategy: number, shard: number): Hex => address(0x1000 * (strategy + 1) + shard);
  const call = (to: Hex, data: Hex): Hex | { readonly reverts: Hex } => {
    if (isAddressEqual(to, address(1))) {
      const { functionName, args } = decodeFunctionData({ abi: registryAbi, data });
      if (functionName === 'strategyCount') return encodeFunctionResult({ abi: registryAbi, functionName, result: BigInt(strategies.length) });
      if (functionName !== 'strategy') throw new Error(functionName);
      const index = Number(args[0]) - 1;
      const vaults = (strategies[index] ?? []).map((_vault, shard) => vaultOf(index, shard));
      return encodeFunctionResult({ abi: registryAbi, functionName, result: { master: address(8), venue: address(7), name: `Strategy ${index + 1}`, source: address(0), vaults, markets: [] } });
    }
    const known = strategies.flatMap((vaults, strategy) => vaults.map((vault, shard) => ({ ...vault, at: vaultOf(strategy, shard) }))).find(({ at }) => isAddressEqual(at, to));
    if (known === undefined) throw new Error(`nobody at ${to}`);
    const { functionName, args } = decodeFunctionData({ abi: vaultAbi, data });
    if (functionName === 'accountOf') return encodeFunctionResult({ abi: vaultAbi, functionName, result: isAddressEqual(args[0], FOLLOWER) ? known.account : 0 });
    if (known.equity === 'no price') return { reverts: encodeErrorResult({ abi: vaultAbi, errorName: 'StrategyWoundUp' }) };
    if (functionName === 'equityOf') return encodeFunctionResult({ abi: vaultAbi, functionName, result: known.equity });
    if (functionName === 'maintenanceOf' || functionName === 'freeMarginOf') return encodeFunctionResult({ abi: vaultAbi, functionName, result: functionName === 'freeMarginOf' ? 40n : 7n });
    throw new Error(functionName);
  };
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit) => {
    const asked = JSON.parse(init.body as string) as { id: number; method: string; params: [{ to: Hex; data: Hex }, Hex] }[];
    largest = Math.max(largest, asked.length);
    const replies = asked.map(({ id, method, params }) => {
      if (method === 'eth_blockNumber') return { jsonrpc: '2.0', id, result: '0x4d' };
      blocks.add(params[1]);
      const result = call(params[0].to, params[0].data);
      return typeof result === 'string' ? { jsonrpc: '2.0', id, result } : { jsonrpc: '2.0', id, error: { code: 3, message: 'execution reverted', data: result.reverts } };
    });
    return new Response(JSON.stringify(replies), { headers: { 'content-type': 'application/json' } });
  });
  return { blocks, largest: () => largest };
}

afterEach(() => vi.unstubAllGlobals());

const read = (from: Deployment = deployment()) => readChainAccounts(from, FOLLOWER, new AbortController().signal);

describe('the accounts of an address, without the API', () => {
  test('are found in every vault of every strategy, all as of one block', async () => {
    const { blocks } = node([[{ account: 0, equity: 0n }], [{ account: 0, equity: 0n }, { account: 12, equity: 2_611_480_210n }], [{ account: 3, equity: -5n }]]);
    const found = await read();
    expect(found.block).toBe(77n);
    expect(found.accounts).toEqual([
      { strategyId: '2', strategyName: 'Strategy 2', vault: address(0x2001), account: 12, live: { block: 77n, equity: 2_611_480_210n, maintenance: 7n, free: 40n } },
      { strategyId: '3', strategyName: 'Strategy 3', vault: address(0x3000), account: 3, live: { block: 77n, equity: -5n, maintenance: 7n, free: 40n } },
    ]);
    expect([...blocks]).toEqual(['0x4d']);
  });

  test('are listed even when the vault cannot value them: they can be left all the same', async () => {
    node([[{ account: 5, equity: 'no price' }]]);
    const { accounts } = await read();
    expect(accounts).toEqual([{ strategyId: '1', strategyName: 'Strategy 1', vault: address(0x1000), account: 5, live: undefined }]);
  });

  test('are found among hundreds of strategies, a few at a time', async () => {
    const { largest } = node(Array.from({ length: 230 }, (_none, index) => [{ account: index === 229 ? 1 : 0, equity: 1n }]));
    const { accounts } = await read();
    expect(accounts.map(({ strategyId }) => strategyId)).toEqual(['230']);
    expect(largest()).toBeLessThanOrEqual(50);
  });

  test('are not said to be none when the chain does not answer', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('', { status: 403 })));
    const failure = await read().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ChainReadError);
    expect((failure as Error).message).toMatch(/^The chain could not be read: /);
  });
});

describe('a remembered deployment', () => {
  test('comes back as it was', () => {
    const before = deployment();
    expect(readRememberedDeployment(JSON.stringify(before))).toEqual(before);
  });
  test.each([
    ['nothing', null],
    ['no JSON', '{'],
    ['null', 'null'],
    ['no contracts', JSON.stringify({ ...deployment(), contracts: undefined })],
    ['a registry that is no address', JSON.stringify({ ...deployment(), contracts: { ...deployment().contracts, registry: 'javascript:0' } })],
    ['no node to ask', JSON.stringify({ ...deployment(), rpcUrl: null })],
    ['no chain', JSON.stringify({ ...deployment(), chainId: '1' })],
  ])('is none when it holds %s', (_what, text) => {
    expect(readRememberedDeployment(text)).toBeUndefined();
  });
});
