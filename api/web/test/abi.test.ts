import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toEventSelector, toFunctionSelector, type Abi, type AbiEvent, type AbiFunction } from 'viem';
import { describe, expect, test } from 'vitest';
import { engineAbi, registryAbi, vaultAbi } from '../src/chain/abi';
import { REJECTIONS, rejectionWords } from '../src/units/rejections';
import { CAUSES, OUTCOME_NAMES, PROOFS, STATUSES } from '../src/units/words';

const CONTRACTS = join(import.meta.dirname, '../../../contracts');

const kebab = (name: string): string => name.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();

function selector(entry: Abi[number]): string {
  switch (entry.type) {
    case 'function':
      return `function ${toFunctionSelector(entry as AbiFunction)}:${(entry as AbiFunction).stateMutability}:${(entry as AbiFunction).outputs.map(({ type }) => type).join(',')}`;
    case 'event':
      return `event ${toEventSelector(entry as AbiEvent)}:${(entry as AbiEvent).inputs.map(({ indexed }) => String(indexed === true)).join(',')}`;
    case 'error':
      return `error ${entry.name}(${entry.inputs.map(({ type }) => type).join(',')})`;
    default:
      return entry.type;
  }
}

describe.each([
  ['IStrategyVault', vaultAbi as Abi],
  ['IMasterRegistry', registryAbi as Abi],
  ['IMirrorEngine', engineAbi as Abi],
])('%s', (name, ours) => {
  test('what the page uses is what the contracts have', async () => {
    const theirs = JSON.parse(await readFile(join(CONTRACTS, `abi/${name}.json`), 'utf8')) as Abi;
    const known = new Set(theirs.map(selector));
    for (const entry of ours) expect(known, 'name' in entry ? entry.name : entry.type).toContain(selector(entry));
  });
});

async function enumOf(name: string): Promise<string[]> {
  const source = await readFile(join(CONTRACTS, 'interfaces/LockstepTypes.sol'), 'utf8');
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(source)?.[1] ?? '';
  return [...body.replace(/\/\/.*$/gm, '').matchAll(/\w+/g)].map(([word]) => kebab(word));
}

test('every outcome has words, in the order of its code', async () => {
  expect(OUTCOME_NAMES).toEqual(await enumOf('Outcome'));
});

test('every status, cause and proof has words', async () => {
  expect(Object.keys(STATUSES)).toEqual(await enumOf('Status'));
  expect(Object.keys(CAUSES)).toEqual(await enumOf('Cause'));
  expect(Object.keys(PROOFS)).toEqual(await enumOf('Proof'));
});

test('every reason for which the keeper refuses a request has words', async () => {
  const source = await readFile(join(CONTRACTS, '../keeper/src/relay/validate.rs'), 'utf8');
  const codes = [...source.matchAll(/Refusal::new\(\s*"([a-z0-9-]+)"/g)].map(([, code]) => code ?? '');
  expect(codes.length).toBeGreaterThan(10);
  for (const code of codes) expect(REJECTIONS, code).toHaveProperty(code);
});

test('every reason that has words is one the keeper or a contract can give', async () => {
  const sources = await Promise.all(
    ['../keeper/src/relay/validate.rs', '../keeper/src/relay/mod.rs', '../keeper/src/chain/reverts.rs'].map((file) => readFile(join(CONTRACTS, file), 'utf8')),
  );
  const keepers = sources.flatMap((source) => [...source.matchAll(/"([a-z0-9-]+)"/g)].map(([, code]) => code ?? ''));
  const errors = await Promise.all(
    ['IMirrorEngine', 'IStrategyVault', 'IMasterRegistry', 'IVenue'].map(async (name) => JSON.parse(await readFile(join(CONTRACTS, `abi/${name}.json`), 'utf8')) as Abi),
  );
  const contracts = errors.flat().flatMap((entry) => (entry.type === 'error' ? [kebab(entry.name)] : []));
  const known = new Set([...keepers, ...contracts]);
  for (const code of Object.keys(REJECTIONS)) expect(known, code).toContain(code);
});

test('a reason that is not known is shown with the service’s own sentence', () => {
  expect(rejectionWords('some-new-code', 'the contract refused: SomeNewCode')).toEqual({
    short: 'Some new code',
    why: 'The contract refused: SomeNewCode.',
    next: 'Sign it again. If it happens again, give whoever runs this service the code “some-new-code”.',
  });
});
