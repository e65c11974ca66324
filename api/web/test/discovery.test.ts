import { describe, expect, test } from 'vitest';
import { discoverWallets, readAnnouncement, type AnnouncedWallet } from '../src/wallet/discovery';
import { isUnknownChain, toWalletError } from '../src/wallet/errors';

const provider = { request: (): Promise<unknown> => Promise.resolve(null) };
const info = (uuid: string, name = 'Wallet'): Record<string, unknown> => ({ uuid, name, icon: 'data:image/svg+xml,<svg/>', rdns: 'test.wallet' });

class Announcement extends Event {
  constructor(readonly detail: unknown) {
    super('eip6963:announceProvider');
  }
}

describe('EIP-6963', () => {
  test('asks, lists in order of arrival, and each wallet once', () => {
    const target = new EventTarget();
    const seen: (readonly AnnouncedWallet[])[] = [];
    // A wallet that was there first answers the request; one that loads later announces itself.
    target.addEventListener('eip6963:requestProvider', () => target.dispatchEvent(new Announcement({ info: info('a', 'First'), provider })));
    const stop = discoverWallets((list) => seen.push(list), target);
    target.dispatchEvent(new Announcement({ info: info('b', 'Second'), provider }));
    target.dispatchEvent(new Announcement({ info: info('a', 'First'), provider }));
    expect(seen.at(-1)?.map((wallet) => wallet.info.name)).toEqual(['First', 'Second']);
    expect(seen).toHaveLength(2);
    stop();
    target.dispatchEvent(new Announcement({ info: info('c'), provider }));
    expect(seen).toHaveLength(2);
  });

  test('a wallet cannot take the place of another by its uuid', () => {
    const target = new EventTarget();
    const seen: (readonly AnnouncedWallet[])[] = [];
    discoverWallets((list) => seen.push(list), target);
    target.dispatchEvent(new Announcement({ info: info('a', 'Real'), provider }));
    target.dispatchEvent(new Announcement({ info: info('a', 'Fake'), provider }));
    expect(seen.at(-1)?.map((wallet) => wallet.info.name)).toEqual(['Real']);
  });

  test.each([undefined, null, 1, {}, { info: info('a') }, { provider }, { info: info(''), provider }, { info: info('a', '  '), provider }, { info: info('a'), provider: {} }, { info: info('a'), provider: null }])(
    'ignores what is not an announcement: %j',
    (detail) => {
      expect(readAnnouncement(detail)).toBeUndefined();
    },
  );

  test('shows no icon that could call home', () => {
    for (const icon of ['https://example.com/i.png', 'javascript:alert(1)', 'data:text/html,<script>', 5]) {
      expect(readAnnouncement({ info: { ...info('a'), icon }, provider })?.info.icon).toBe('');
    }
    expect(readAnnouncement({ info: info('a'), provider })?.info.icon).toBe('data:image/svg+xml,<svg/>');
  });

  test('shortens a name that is too long to be a name', () => {
    expect(readAnnouncement({ info: info('a', 'x'.repeat(500)), provider })?.info.name).toHaveLength(40);
  });
});

describe('errors of wallets', () => {
  test('declining is no fault', () => {
    expect(toWalletError({ code: 4001, message: 'User rejected' })).toMatchObject({ declined: true });
    expect(toWalletError(new Error('boom'))).toMatchObject({ declined: false, message: 'The wallet reported: boom' });
  });
  test('a chain nobody told the wallet about is recognised, also wrapped', () => {
    expect(isUnknownChain({ code: 4902 })).toBe(true);
    expect(isUnknownChain({ code: -32603, data: { originalError: { code: 4902 } } })).toBe(true);
    expect(isUnknownChain({ code: 4001 })).toBe(false);
    expect(isUnknownChain(undefined)).toBe(false);
  });
});
