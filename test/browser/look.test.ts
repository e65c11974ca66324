/** How the pages look and behave with made-up data: no stack needed. What has to be true is in `flows.test.ts`. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHAIN_ID } from './fixture/data';
import { startFixture, type Fixture } from './fixture/server';
import { accessible } from './support/axe';
import { launch, open, picture, type SizeName, type ThemeName } from './support/browser';
import { addWallet, connectWallet } from './support/wallet';

/** The first account of every local chain; it owns nothing anywhere else. */
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

let browser: Browser;
let fixture: Fixture;

beforeAll(async () => {
  [browser, fixture] = await Promise.all([launch(), startFixture()]);
});
afterAll(async () => {
  await browser.close();
  await fixture.close();
});

const LOOKS: readonly (readonly [SizeName, ThemeName])[] = [
  ['desktop', 'light'],
  ['desktop', 'dark'],
  ['tablet', 'light'],
  ['phone', 'light'],
  ['phone', 'dark'],
];

const PAGES: readonly { readonly name: string; readonly path: string; readonly wallet: boolean; readonly ready: (page: Page) => Promise<unknown> }[] = [
  { name: 'masters', path: '/', wallet: false, ready: (page) => page.locator('.spark path').nth(1).waitFor() },
  {
    name: 'strategy',
    path: '/strategies/1',
    wallet: false,
    ready: async (page) => {
      await page.locator('canvas').waitFor();
      await page.locator('.live[data-on="true"]').waitFor();
      await page.getByRole('button', { name: 'Details of batch 46' }).waitFor();
    },
  },
  { name: 'follow', path: '/strategies/2/follow', wallet: true, ready: (page) => page.getByText('Your wallet holds').waitFor() },
  { name: 'account', path: '/account', wallet: true, ready: (page) => page.getByText('Read from the vault itself').or(page.getByRole('heading', { name: 'Every fill' })).first().waitFor() },
  { name: 'audit', path: '/audit?strategy=2', wallet: false, ready: (page) => page.getByText('900 of 900 equal').waitFor() },
  { name: 'register', path: '/register', wallet: true, ready: (page) => page.getByRole('button', { name: 'Register' }).waitFor() },
];

describe.each(LOOKS)('on %s, %s', (size, theme) => {
  test.each(PAGES)('$name looks right and is accessible', async ({ name, path, wallet, ready }) => {
    const watched = await open(browser, { size, theme });
    const { page } = watched;
    if (wallet) await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await page.goto(fixture.url + (wallet ? '/register' : path));
    if (wallet) {
      await connectWallet(page);
      await page.goto(fixture.url + path);
    }
    await ready(page);
    await picture(page, `fixture-${name}-${size}-${theme}`);
    await accessible(page);
    // Nothing may stick out sideways.
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0);
    watched.verify();
    await watched.close();
  });
});

