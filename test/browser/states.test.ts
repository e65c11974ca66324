/** What a page looks like when things are not as they should be, or larger than anyone thought. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CHAIN_ID, LONG_NAME, TOO_YOUNG } from './fixture/data';
import { startFixture, type Fixture } from './fixture/server';
import { accessible } from './support/axe';
import { launch, open, picture, type SizeName, type Watched } from './support/browser';
import { addWallet, connectWallet, type TestWallet } from './support/wallet';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

let browser: Browser;
let fixture: Fixture;
let watched: Watched | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  fixture = await startFixture();
});
afterEach(async () => {
  watched?.verify();
  await watched?.close();
  watched = undefined;
  await fixture.close();
});

async function show(look: { readonly size?: SizeName; readonly theme?: 'light' | 'dark' } = {}): Promise<Page> {
  watched = await open(browser, look);
  return watched.page;
}

async function withWallet(page: Page, path: string, chains: readonly number[] = [CHAIN_ID]): Promise<TestWallet> {
  const wallet = await addWallet(page, { key: KEY, chains });
  await page.goto(`${fixture.url}/register`);
  await connectWallet(page);
  await page.goto(fixture.url + path);
  return wallet;
}

/** What sticks out: of the page sideways, or out of a box that cuts it off. */
function sticksOut(page: Page): Promise<readonly string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page by ${root.scrollWidth - root.clientWidth} px`);
    for (const element of document.querySelectorAll<HTMLElement>('main *, header *, footer *')) {
      const { overflowX, position } = getComputedStyle(element);
      // What is only for screen readers is one pixel wide, a text in a field scrolls, and so may a table that has not folded.
      if (position === 'absolute' || element instanceof HTMLInputElement || element.classList.contains('scroll') || element.classList.contains('nav')) continue;
      if (overflowX !== 'visible' && element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1) found.push(`${element.tagName}.${element.className}: ${element.textContent?.slice(0, 40) ?? ''}`);
    }
    return found;
  });
}

const fills = (page: Page) => page.getByRole('table', { name: /Fills/ }).getByRole('rowheader').first().waitFor();

const PAGES: readonly { readonly name: string; readonly path: string; readonly ready: (page: Page) => Promise<unknown> }[] = [
  { name: 'masters', path: '/', ready: (page) => page.locator('.spark path').nth(1).waitFor() },
  { name: 'strategy', path: '/strategies/1', ready: (page) => page.locator('.live[data-on="true"]').waitFor() },
  { name: 'follow', path: '/strategies/2/follow', ready: (page) => page.getByText('Your wallet holds').waitFor() },
  { name: 'account', path: '/account', ready: fills },
  { name: 'audit', path: '/audit?strategy=2', ready: (page) => page.getByTestId('audit-summary').waitFor() },
];

describe.each(['desktop', 'tablet', 'phone'] as const)('on %s', (size) => {
  test.each(PAGES)('the longest names and hundreds of millions fit on $name', async ({ name, path, ready }) => {
    fixture.extreme = true;
    const page = await show({ size, theme: size === 'tablet' ? 'dark' : 'light' });
    await withWallet(page, path);
    await ready(page);
    if (name === 'account') {
      await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('table', { name: /Requests/ }).waitFor();
    }
    await page.getByText(LONG_NAME).first().waitFor({ state: 'attached' });
    await picture(page, `extreme-${name}-${size}`);
    expect(await sticksOut(page)).toEqual([]);
    await accessible(page);
  });

  test('a strategy that nobody follows and that has no record yet says so', async () => {
    const page = await show({ size });
    await page.goto(`${fixture.url}/strategies/4`);
    await page.getByText('0 followers').waitFor();
    await picture(page, `state-unfollowed-${size}`);
    expect(await sticksOut(page)).toEqual([]);
    await accessible(page);
  });
});

describe('without the API', () => {
  test.each([
    ['/', 'Masters'],
    ['/strategies/1', 'Strategy 1'],
    ['/strategies/1/follow', 'Follow'],
    ['/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', 'Account'],
    ['/audit', 'Audit'],
    ['/register', 'Become a master'],
  ])('%s says what is wrong, keeps its heading, and comes back by itself or when asked', async (path, heading) => {
    fixture.failing = true;
    const page = await show();
    watched?.expect(/503/);
    await page.goto(fixture.url + path);
    await page.getByRole('alert').filter({ hasText: 'you can exit on your own at any time' }).waitFor();
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    await picture(page, `state-no-api-${heading.toLowerCase().replaceAll(' ', '-')}`);
    await accessible(page);
    fixture.failing = false;
    const alarm = page.getByRole('alert').filter({ hasText: 'you can exit on your own' });
    for (;;) {
      const again = page.getByRole('main').getByRole('button', { name: 'Try again' }).first();
      if (!(await again.isVisible())) break;
      await again.click();
      await again.waitFor({ state: 'detached', timeout: 5_000 }).catch(() => undefined);
    }
    await alarm.waitFor({ state: 'detached' });
    expect(await page.getByRole('main').getByRole('alert').count()).toBe(0);
  });
});

describe('my account, opened without the API', () => {
  const problem = (page: Page) => page.getByRole('main').getByRole('alert').filter({ hasText: 'The API is unreachable.' });

  test.each(['desktop', 'phone'] as const)('lists what is on the chain and lets its owner leave, on %s', async (size) => {
    const page = await show({ size });
    // The visit before, while all was well, has told this browser where the contracts are.
    const wallet = await withWallet(page, '/account');
    await fills(page);
    fixture.failing = true;
    watched?.expect(/503/);
    await page.reload();
    await problem(page).waitFor();
    const account = page.getByRole('region', { name: 'North Sea Trend' });
    await account.getByText('from the chain').waitFor();
    await account.getByText('2,611.48').waitFor();
    expect(await page.getByRole('region', { name: 'Mean Reverter' }).count()).toBe(0);
    await picture(page, `state-no-api-from-chain-${size}`);
    expect(await sticksOut(page)).toEqual([]);
    await accessible(page);

    await account.getByRole('button', { name: 'Exit on my own…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Exit without Lockstep' });
    // Made-up chains take no transaction: that the wallet is asked for it is as far as this goes.
    wallet.declineNext();
    await dialog.getByRole('button', { name: 'Exit now' }).click();
    await dialog.getByText('You declined in the wallet.').waitFor();
    expect(wallet.requests.at(-1)).toBe('eth_sendTransaction');
    await dialog.getByRole('button', { name: 'Cancel' }).click();

    fixture.failing = false;
    await problem(page).getByRole('button', { name: 'Try again' }).click();
    await fills(page);
    // What the API says takes the place of what the chain said, and of the notice, when its own answers are in.
    await page.getByText('from the chain').waitFor({ state: 'detached' });
    await page.getByRole('main').getByRole('alert').waitFor({ state: 'detached' });
  });

  test('shows another address’s accounts without a way to act on them', async () => {
    const page = await show();
    await page.goto(`${fixture.url}/strategies/1`);
    await page.locator('.live[data-on="true"]').waitFor();
    fixture.failing = true;
    watched?.expect(/503/);
    await page.goto(`${fixture.url}/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`);
    await page.getByRole('region', { name: 'North Sea Trend' }).getByText('2,611.48').waitFor();
    expect(await page.getByRole('button', { name: 'Exit on my own…' }).count()).toBe(0);
  });

  test('does not say that there is no account when the chain does not answer either', async () => {
    const page = await show();
    await withWallet(page, '/account');
    await fills(page);
    fixture.failing = true;
    fixture.nodeFailing = true;
    watched?.expect(/503/);
    await page.reload();
    await page.getByRole('alert').filter({ hasText: 'The chain could not be read' }).waitFor();
    expect(await page.getByText('no account on the chain').count()).toBe(0);
    fixture.nodeFailing = false;
    await page.getByRole('alert').filter({ hasText: 'The chain could not be read' }).getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('region', { name: 'North Sea Trend' }).getByText('2,611.48').waitFor();
  });

  test('in a browser that has never seen it work tells how to leave by hand', async () => {
    fixture.failing = true;
    const page = await show();
    watched?.expect(/503/);
    await page.goto(`${fixture.url}/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`);
    await problem(page).getByText('does not know where the contracts are').waitFor();
    await page.getByText("cast send $VAULT 'exit(uint256)' 100").waitFor();
  });
});

test('an account that is too young for a rate says so in plain sight', async () => {
  fixture.young = true;
  const page = await show({ size: 'phone' });
  await page.goto(`${fixture.url}/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`);
  await page.getByText(TOO_YOUNG).scrollIntoViewIfNeeded();
  await picture(page, 'state-young-account', false);
  expect(await sticksOut(page)).toEqual([]);
  await accessible(page);
});

test('a lost stream is said at the foot of the page, and found again by itself', async () => {
  const page = await show();
  await page.goto(`${fixture.url}/strategies/1`);
  const foot = page.getByRole('contentinfo');
  await foot.getByText('live').waitFor();
  fixture.refuseStream = true;
  watched?.expect(/WebSocket/);
  fixture.dropStream();
  await foot.getByText('connection lost, trying again').waitFor();
  await page.locator('.live[data-on="false"]').waitFor();
  fixture.refuseStream = false;
  await foot.getByText('live').waitFor({ timeout: 20_000 });
  // And it hears again: a point that is pushed now arrives.
  const point = fixture.push();
  await page.waitForFunction((index) => document.querySelector('[role=slider]')?.getAttribute('aria-valuenow') === String(index), point.index);
});

test('on the wrong network nothing can be signed, and one button puts it right', async () => {
  const page = await show();
  await withWallet(page, '/strategies/2/follow', [1, CHAIN_ID]);
  await page.getByText('Test Wallet is on Chain 1 (1).').waitFor();
  expect(await page.getByRole('button', { name: 'Review and sign' }).count()).toBe(0);
  await picture(page, 'state-wrong-network');
  await page.getByRole('button', { name: 'Switch to Local chain' }).click();
  await page.getByRole('button', { name: 'Review and sign' }).waitFor();
});

test('every page names itself in the tab', async () => {
  const page = await show();
  for (const [path, title] of [
    ['/', 'Masters'],
    ['/strategies/1', 'North Sea Trend'],
    ['/strategies/1/follow', 'Follow North Sea Trend'],
    ['/account', 'My account'],
    ['/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', 'Account 0xf39F…2266'],
    ['/audit', 'Audit'],
    ['/register', 'Become a master'],
    ['/nowhere', 'Not found'],
  ]) {
    await page.goto(`${fixture.url}${path ?? ''}`);
    await page.waitForFunction((wanted) => document.title === wanted, `${title ?? ''} · Lockstep`);
  }
});

test('the whole page is reached by the Tab key alone, and shows where it is', async () => {
  const page = await show();
  await withWallet(page, '/account');
  await fills(page);
  await page.locator('body').press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
  const seen = new Set<string>();
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === null || element === document.body) return undefined;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const ring = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
      const around = element.closest('label, .box');
      const other = around === null ? false : getComputedStyle(around).outlineStyle !== 'none';
      return { name: element.getAttribute('aria-label') ?? element.textContent ?? '', visible: ring || other };
    });
    if (at === undefined) break;
    expect(at.visible, at.name).toBe(true);
    seen.add(at.name.trim());
  }
  for (const name of ['Withdraw', 'Stop', 'Exit on my own…', 'CSV', 'Show more']) expect([...seen], name).toContain(name);
});
