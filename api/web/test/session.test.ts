import { describe, expect, test } from 'vitest';
import { parseSiweMessage } from 'viem/siwe';
import { labelProblem } from '../src/session/me';
import { loginMessage } from '../src/session/message';
import { readRemembered } from '../src/session/session';

const ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const NONCE = {
  nonce: 'a1b2c3d4e5f6',
  domain: 'lockstep.example:8080',
  uri: 'https://lockstep.example:8080',
  statement: 'Log in to Lockstep.',
  version: '1',
  chainId: 10,
  issuedAt: '2026-11-21T12:00:00.000Z',
  expirationTime: '2026-11-21T12:10:00.000Z',
};

describe('the login message', () => {
  test('is the standard’s, with the address in its checksum form', () => {
    const text = loginMessage(NONCE, ADDRESS.toLowerCase(), 'lockstep.example:8080');
    expect(text.split('\n').slice(0, 2)).toEqual(['lockstep.example:8080 wants you to sign in with your Ethereum account:', ADDRESS]);
    expect(parseSiweMessage(text)).toMatchObject({ address: ADDRESS, chainId: 10, nonce: NONCE.nonce, uri: NONCE.uri, statement: NONCE.statement });
  });
  test('is not made for another site than the one the page is on', () => {
    expect(() => loginMessage(NONCE, ADDRESS, 'lockstep.example')).toThrow('https://lockstep.example:8080');
  });
});

describe('what is remembered of a session', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  const stored = (value: unknown): string => JSON.stringify(value);
  test('is taken up while it runs', () => {
    const session = { address: ADDRESS, expiresAt: '2026-11-21T12:00:01Z' };
    expect(readRemembered(stored({ ...session, token: 'x' }), now)).toEqual(session);
    expect(readRemembered(stored({ ...session, expiresAt: '2026-11-21T12:00:00Z' }), now)).toBeUndefined();
  });
  test.each([null, '', 'null', '[]', '{', stored({ address: ADDRESS }), stored({ address: '0x1', expiresAt: '2030-01-01T00:00:00Z' }), stored({ address: ADDRESS, expiresAt: 'soon' })])(
    'is nothing when it is %s',
    (text) => {
      expect(readRemembered(text, now)).toBeUndefined();
    },
  );
});

test('names are counted as the API counts them: trimmed, by code point', () => {
  expect(labelProblem(`  ${'😀'.repeat(64)}  `)).toBeUndefined();
  expect(labelProblem('😀'.repeat(65))).toContain('65');
  expect(labelProblem('a\tb')).toContain('control');
  expect(labelProblem('')).toBeUndefined();
});
