/** How the pages look and behave with made-up data: no stack needed. What has to be true is in `flows.test.ts`. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHAIN_ID } from './fixture/data';
import { startFixture, type Fixture } from './fixture/server';
import { launch, open, picture, type SizeName, type ThemeName } from './support/browser';
import { addWallet, connectWallet } from './support/wallet';

/** The first account of every local chain; it owns nothing anywhere else. */
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

let browser: Browser;
let fixture: Fixture;
let axe: string;

beforeAll(async () => {
  [browser, fixture] = await Promise.all([launch(), startFixture()]);
  axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
});
afterAll(async () => {
  await browser.close();
  await fixture.close();
});

interface Finding {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** WCAG 2.2 AA, as far as a machine can tell. */
async function accessible(page: Page): Promise<void> {
  await page.evaluate(axe);
  const findings = await page.evaluate(async () => {
    const { axe: engine } = window as unknown as { axe: { run(options: unknown): Promise<{ violations: Finding[] }> } };
    interface Finding {
      id: string;
      help: string;
      nodes: { html: string; failureSummary: string }[];
    }
    const { violations } = await engine.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return violations;
  });
  expect(findings.map((each: Finding) => `${each.id}: ${each.help}\n${each.nodes.map((node) => `  ${node.html}\n  ${node.failureSummary}`).join('\n')}`).join('\n')).toBe('');
}

const LOOKS: readonly (readonly [SizeName, ThemeName])[] = [
  ['desktop', 'light'],
  ['desktop', 'dark'],
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

