/** The NAV record, read from the chain in this browser and held against the indexer's. */
import type { Address, Client } from 'viem';
import { getBlockNumber, readContract } from 'viem/actions';
import { USDC, WAD, fromApi } from '../units/amount';
import { vaultAbi } from './abi';

/** A point of the record, in the chain's own integers. */
export interface RecordPoint {
  readonly index: number;
  /** Unix seconds. */
  readonly time: bigint;
  /** 1e18. */
  readonly navIndex: bigint;
  /** USDC 1e6. */
  readonly totalEquity: bigint;
}

export interface ChainRecord {
  readonly block: bigint;
  readonly points: readonly RecordPoint[];
}

/** Points asked for at once; the transport packs them into JSON-RPC batches. */
const CHUNK = 400;

/** Reads the whole record as of one block, so that it cannot change half-way. */
export async function readChainRecord(
  client: Client,
  vault: Address,
  progress: (done: number, of: number) => void,
  signal: AbortSignal,
): Promise<ChainRecord> {
  const block = await getBlockNumber(client, { cacheTime: 0 });
  const at = { address: vault, abi: vaultAbi, blockNumber: block } as const;
  const count = Number(await readContract(client, { ...at, functionName: 'navCount' }));
  const points: RecordPoint[] = [];
  progress(0, count);
  for (let start = 0; start < count; start += CHUNK) {
    signal.throwIfAborted();
    const indexes = Array.from({ length: Math.min(CHUNK, count - start) }, (_none, offset) => start + offset);
    const chunk = await Promise.all(
      indexes.map(async (index) => {
        const [time, navIndex, totalEquity] = await readContract(client, {
          ...at,
          functionName: 'navAt',
          args: [BigInt(index)],
        });
        return { index, time, navIndex, totalEquity };
      }),
    );
    points.push(...chunk);
    progress(points.length, count);
  }
  return { block, points };
}

/** A point as the API writes it. */
export interface ApiPoint {
  readonly index: number;
  readonly block: number;
  readonly time: string;
  readonly navIndex: string;
  readonly totalEquity: string;
}

export function fromApiPoint(point: ApiPoint): RecordPoint {
  return {
    index: point.index,
    time: BigInt(Date.parse(point.time)) / 1000n,
    navIndex: fromApi(point.navIndex, WAD),
    totalEquity: fromApi(point.totalEquity, USDC),
  };
}

export interface Window {
  readonly from?: string;
  readonly to?: string;
}

export interface ApiPage {
  /** Nothing was left out. */
  readonly exact: boolean;
  readonly points: readonly ApiPoint[];
}

/**
 * Every point the indexer has. The API thins long windows out, so a thinned window is halved until nothing is left out.
 */
export async function readIndexerRecord(
  load: (window: Window) => Promise<ApiPage>,
  signal: AbortSignal,
): Promise<readonly ApiPoint[]> {
  const found = new Map<number, ApiPoint>();
  const visit = async (window: Window): Promise<void> => {
    signal.throwIfAborted();
    const page = await load(window);
    for (const point of page.points) found.set(point.index, point);
    if (page.exact) return;
    const first = page.points[0];
    const last = page.points.at(-1);
    if (first === undefined || last === undefined) return;
    const [from, to] = [Date.parse(first.time), Date.parse(last.time)];
    // One second with more points than a reply holds cannot be split further; the missing ones show as such.
    if (to - from < 1000) return;
    const middle = from + Math.floor((to - from) / 2000) * 1000;
    await visit({ from: new Date(from).toISOString(), to: new Date(middle).toISOString() });
    await visit({ from: new Date(middle + 1).toISOString(), to: new Date(to).toISOString() });
  };
  await visit({});
  return [...found.values()].sort((a, b) => a.index - b.index);
}

export type Verdict = 'equal' | 'different' | 'missing' | 'newer';

export interface Comparison {
  readonly index: number;
  readonly chain: RecordPoint | undefined;
  readonly indexer: RecordPoint | undefined;
  /**
   * `missing`: on the chain, and the indexer is past it, yet does not have it. `newer`: one side has simply read further
   * than the other; not a disagreement.
   */
  readonly verdict: Verdict;
}

export interface Summary {
  readonly equal: number;
  readonly compared: number;
  readonly disagree: number;
  readonly newer: number;
}

export function samePoint(a: RecordPoint, b: RecordPoint): boolean {
  return a.time === b.time && a.navIndex === b.navIndex && a.totalEquity === b.totalEquity;
}

/** Point by point. What lies behind the newest point that both sides have must be on both sides, and equal. */
export function compareRecords(
  chain: readonly RecordPoint[],
  indexer: readonly RecordPoint[],
): { readonly rows: readonly Comparison[]; readonly summary: Summary } {
  const theirs = new Map(indexer.map((point) => [point.index, point]));
  const ours = new Map(chain.map((point) => [point.index, point]));
  const indexes = [...new Set([...ours.keys(), ...theirs.keys()])].sort((a, b) => a - b);
  const common = Math.min(chain.at(-1)?.index ?? -1, indexer.at(-1)?.index ?? -1);
  const rows = indexes.map((index): Comparison => {
    const [a, b] = [ours.get(index), theirs.get(index)];
    const verdict: Verdict =
      a !== undefined && b !== undefined ? (samePoint(a, b) ? 'equal' : 'different') : index > common ? 'newer' : 'missing';
    return { index, chain: a, indexer: b, verdict };
  });
  const count = (verdict: Verdict): number => rows.filter((row) => row.verdict === verdict).length;
  const newer = count('newer');
  return {
    rows,
    summary: {
      equal: count('equal'),
      compared: rows.length - newer,
      disagree: count('different') + count('missing'),
      newer,
    },
  };
}
