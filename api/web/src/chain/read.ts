/** What the page reads from the chain by itself, through the deployment's public JSON-RPC door. */
import {
  BaseError,
  ContractFunctionRevertedError,
  createClient,
  getAddress,
  http,
  type Abi,
  type Address,
  type Client,
  type Hex,
  type TransactionReceipt,
} from 'viem';
import { estimateContractGas, getBlock, getBlockNumber, getCode, readContract, simulateContract, waitForTransactionReceipt } from 'viem/actions';
import { engineAbi, registryAbi, tokenAbi, vaultAbi } from './abi';
import type { Deployment } from './deployment';
import type { TokenDomain } from './typed-data';

/** Calls put into one JSON-RPC request. */
export const RPC_BATCH = 100;

export class NoRpcError extends Error {
  override readonly name = 'NoRpcError';
  constructor() {
    super('This service publishes no address of a chain node, so the page cannot read the chain by itself.');
  }
}

const clients = new Map<string, Client>();

export function chainClient(deployment: Deployment): Client {
  const { rpcUrl } = deployment;
  if (rpcUrl === null || rpcUrl === undefined) throw new NoRpcError();
  const known = clients.get(rpcUrl);
  if (known !== undefined) return known;
  const client = createClient({
    pollingInterval: 1000,
    transport: http(rpcUrl, { batch: { batchSize: RPC_BATCH, wait: 4 }, retryCount: 2, timeout: 20_000 }),
  });
  clients.set(rpcUrl, client);
  return client;
}

/** What decides whether a deposit needs a token permit first. */
export interface Funding {
  readonly balance: bigint;
  /** What Permit2 may take already. */
  readonly allowance: bigint;
  readonly permitNonce: bigint;
  readonly token: TokenDomain;
  /** The account is a contract: it cannot make the (v, r, s) signature of a token permit. */
  readonly isContract: boolean;
}

export async function readFunding(deployment: Deployment, owner: Address): Promise<Funding> {
  const client = chainClient(deployment);
  const usdc = getAddress(deployment.contracts.usdc);
  const permit2 = getAddress(deployment.contracts.permit2);
  const token = { address: usdc, abi: tokenAbi } as const;
  const [balance, allowance, permitNonce, domain, code] = await Promise.all([
    readContract(client, { ...token, functionName: 'balanceOf', args: [owner] }),
    readContract(client, { ...token, functionName: 'allowance', args: [owner, permit2] }),
    readContract(client, { ...token, functionName: 'nonces', args: [owner] }),
    readTokenDomain(client, usdc),
    getCode(client, { address: owner }),
  ]);
  // EIP-7702: an account with delegated code still has its own key.
  const isContract = code !== undefined && code !== '0x' && !code.toLowerCase().startsWith('0xef0100');
  return { balance, allowance, permitNonce, token: domain, isContract };
}

/** EIP-5267 where the token has it, `name()` and `version()` where not. */
async function readTokenDomain(client: Client, address: Address): Promise<TokenDomain> {
  const token = { address, abi: tokenAbi } as const;
  try {
    const [, name, version] = await readContract(client, { ...token, functionName: 'eip712Domain' });
    return { name, version };
  } catch {
    const [name, version] = await Promise.all([
      readContract(client, { ...token, functionName: 'name' }),
      readContract(client, { ...token, functionName: 'version' }),
    ]);
    return { name, version };
  }
}

/** An account as the chain itself values it, now. */
export interface LiveAccount {
  readonly block: bigint;
  readonly equity: bigint;
  readonly maintenance: bigint;
  readonly free: bigint;
}

export async function readLiveAccount(deployment: Deployment, vault: Address, account: number): Promise<LiveAccount> {
  const client = chainClient(deployment);
  return liveAccountAt(client, vault, account, await getBlockNumber(client, { cacheTime: 0 }));
}

async function liveAccountAt(client: Client, vault: Address, account: number, block: bigint): Promise<LiveAccount> {
  const at = { address: vault, abi: vaultAbi, args: [account], blockNumber: block } as const;
  const [equity, maintenance, free] = await Promise.all([
    readContract(client, { ...at, functionName: 'equityOf' }),
    readContract(client, { ...at, functionName: 'maintenanceOf' }),
    readContract(client, { ...at, functionName: 'freeMarginOf' }),
  ]);
  return { block, equity, maintenance, free };
}

/** An account of an address, as the vaults themselves have it. */
export interface ChainAccount {
  readonly strategyId: string;
  readonly strategyName: string;
  readonly vault: Address;
  readonly account: number;
  /** Nothing when the venue gives no price now: the account is there and can be left all the same. */
  readonly live: LiveAccount | undefined;
}

export interface ChainAccounts {
  readonly block: bigint;
  readonly accounts: readonly ChainAccount[];
}

/** Strategies asked about at once: public nodes refuse whoever asks for too much together. */
const STRATEGIES_AT_ONCE = 50;

/** The chain itself did not answer. `message` is for the person at the screen. */
export class ChainReadError extends Error {
  override readonly name = 'ChainReadError';
  constructor(cause: unknown) {
    super(`The chain could not be read: ${explainRevert(cause)}`, { cause });
  }
}

/**
 * Every account of an address, found without the API: the registry lists the strategies and their vaults, and each vault
 * knows its followers. As of one block.
 */
export async function readChainAccounts(deployment: Deployment, follower: Address, signal: AbortSignal): Promise<ChainAccounts> {
  const client = chainClient(deployment);
  const registry = { address: getAddress(deployment.contracts.registry), abi: registryAbi } as const;
  try {
    const block = await getBlockNumber(client, { cacheTime: 0 });
    const count = Number(await readContract(client, { ...registry, functionName: 'strategyCount', blockNumber: block }));
    const accounts: ChainAccount[] = [];
    for (let first = 1; first <= count; first += STRATEGIES_AT_ONCE) {
      signal.throwIfAborted();
      const ids = Array.from({ length: Math.min(STRATEGIES_AT_ONCE, count - first + 1) }, (_none, offset) => BigInt(first + offset));
      const found = await Promise.all(
        ids.map(async (id) => {
          const { name, vaults } = await readContract(client, { ...registry, functionName: 'strategy', args: [id], blockNumber: block });
          return Promise.all(vaults.map((vault) => accountIn(client, { id, name, vault }, follower, block)));
        }),
      );
      accounts.push(...found.flat().filter((account) => account !== undefined));
    }
    return { block, accounts };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ChainReadError(error);
  }
}

async function accountIn(
  client: Client,
  { id, name, vault }: { readonly id: bigint; readonly name: string; readonly vault: Address },
  follower: Address,
  block: bigint,
): Promise<ChainAccount | undefined> {
  const account = await readContract(client, { address: vault, abi: vaultAbi, functionName: 'accountOf', args: [follower], blockNumber: block });
  if (account === 0) return undefined;
  const live = await liveAccountAt(client, vault, account, block).catch((error: unknown) => {
    // A vault that reverts says that it cannot be valued; anything else says that the chain was not read.
    if (error instanceof BaseError && error.walk((cause) => cause instanceof ContractFunctionRevertedError) !== null) return undefined;
    throw error;
  });
  return { strategyId: id.toString(), strategyName: name, vault, account, live };
}

/** What a strategy's signal in one market would do to an account now, as the contracts themselves compute it. */
export interface Preview {
  /** 1e18. */
  readonly leverage: bigint;
  /** No signal has ever been accepted. */
  readonly none: boolean;
  /** Code of `Outcome`. */
  readonly outcome: number;
}

export async function previewOutcome(
  deployment: Deployment,
  strategyId: string,
  vault: Address,
  account: number,
  market: number,
): Promise<Preview> {
  const client = chainClient(deployment);
  const { leverage, sequence } = await readContract(client, {
    address: getAddress(deployment.contracts.engine),
    abi: engineAbi,
    functionName: 'signalOf',
    args: [BigInt(strategyId), market],
  });
  const [, , outcome] = await readContract(client, {
    address: vault,
    abi: vaultAbi,
    functionName: 'previewTarget',
    args: [account, market, leverage],
  });
  return { leverage, none: sequence === 0n, outcome };
}

const REVERTS: Readonly<Record<string, (args: readonly unknown[]) => string>> = {
  UnknownAccount: () => 'This wallet has no account in the strategy.',
  SlippageBeyondLimit: () => 'The fill would be further off the index price than you accept. Allow more slippage, or wait.',
  PriceLimit: () => 'The fill would be worse than the price you accept. Allow more slippage, or wait.',
  AmountZero: () => 'There is nothing to pay out.',
  PartialFill: () => 'The venue could fill only a part. Close a smaller size first.',
  StrategyWoundUp: () => 'The strategy has been wound up.',
  UnknownVenue: () => 'The registry does not know this venue.',
  UnknownListing: ([id]) => `The venue does not list market ${String(id)}.`,
  TermsOutOfRange: ([field]) => `The registry does not accept this value: ${String(field)}.`,
  TooManyMarkets: ([count, max]) => `${String(count)} markets are more than the ${String(max)} a strategy may have.`,
  NoMarkets: () => 'Choose at least one market.',
  DuplicateMarket: () => 'A market was named twice.',
  NameLength: ([length]) => `A name of ${String(length)} bytes is not accepted. Shorten it.`,
};

/** Why a call would fail, in words. */
export function explainRevert(error: unknown): string {
  if (error instanceof BaseError) {
    const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    if (revert instanceof ContractFunctionRevertedError) {
      const name = revert.data?.errorName;
      if (name !== undefined) return REVERTS[name]?.(revert.data?.args ?? []) ?? `The contract refused: ${name}.`;
      return `The contract refused${revert.reason === undefined ? '' : `: ${revert.reason}`}.`;
    }
    return error.shortMessage;
  }
  return error instanceof Error ? error.message : String(error);
}

/**
 * Tries a call without sending it, so that a refusal is known before the wallet asks for gas. Returns the gas to allow:
 * prices and positions move until the transaction is in a block, and the venue's work with them, so half as much again.
 */
export async function simulate(
  deployment: Deployment,
  call: { readonly address: Address; readonly abi: Abi; readonly functionName: string; readonly args: readonly unknown[] },
  from: Address,
): Promise<bigint> {
  const client = chainClient(deployment);
  try {
    await simulateContract(client, { ...call, account: from });
    return ((await estimateContractGas(client, { ...call, account: from })) * 3n) / 2n;
  } catch (error) {
    throw new Error(explainRevert(error));
  }
}


/** The later of this machine's clock and the chain's: a signature must not be past its deadline on either. */
export async function readChainTime(deployment: Deployment): Promise<bigint> {
  const here = BigInt(Math.floor(Date.now() / 1000));
  try {
    const { timestamp } = await getBlock(chainClient(deployment), { blockTag: 'latest' });
    return timestamp > here ? timestamp : here;
  } catch {
    return here;
  }
}

/** Waits for the block of a transaction that the person's own wallet sent. */
export async function receiptOf(deployment: Deployment, hash: Hex): Promise<TransactionReceipt> {
  return waitForTransactionReceipt(chainClient(deployment), { hash });
}
