/** Order of the list of strategies. */
import type { Schemas } from '../api/client';
import { USDC, fromApi } from './amount';

type Strategy = Schemas['Strategy'];
export type SortKey = 'equity' | 'return' | 'drawdown' | 'followers';

/** Any number of decimals, brought to 18. `undefined` for a figure that is not defined. */
function comparable(text: string | null): bigint | undefined {
  if (text === null) return undefined;
  const [whole = '0', fraction = ''] = text.split('.');
  return fromApi(fraction === '' ? whole : `${whole}.${fraction.slice(0, 18)}`, 18);
}

function valueOf(row: Strategy, key: SortKey): bigint | undefined {
  switch (key) {
    case 'equity':
      return fromApi(row.totalEquity, USDC);
    case 'return':
      return comparable(row.statistics.totalReturn.value);
    case 'drawdown':
      return comparable(row.statistics.maxDrawdown.value);
    case 'followers':
      return BigInt(row.followers);
  }
}

/** What has no figure comes last in either direction; ties are in the order of registration. */
export function sortStrategies(rows: readonly Strategy[], key: SortKey, descending: boolean): readonly Strategy[] {
  return [...rows].sort((a, b) => {
    const [x, y] = [valueOf(a, key), valueOf(b, key)];
    if (x === undefined || y === undefined) {
      if (x !== y) return x === undefined ? 1 : -1;
    } else if (x !== y) return x < y === descending ? 1 : -1;
    return BigInt(a.id) < BigInt(b.id) ? -1 : 1;
  });
}
