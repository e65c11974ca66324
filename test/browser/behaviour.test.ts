/** How pages answer to a person, and to what goes wrong, with made-up data. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CHAIN_ID, MADE, strategy } from './fixture/data';
import { startFixture, type Fixture } from './fixture/server';
import { launch, open, picture, type Watched } from './support/browser';
import { addWallet, connectWallet } from './support/wallet';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

let browser: Browser;
let fixture: Fixture;
let watched: Watched;
let page: Page;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  fixture = await startFixture();
  watched = await open(browser);
  page = watched.page;
});
afterEach(async () => {
  watched.verify();
  await watched.close();
  await fixture.close();
});

describe('masters', () => {
  const names = async (): Promise<string[]> => page.getByRole('rowheader').getByRole('link').allTextContents();

  test('sort in both directions, and what has no figure stays last', async () => {
    await page.goto(fixture.url);
    await page.getByRole('button', { name: 'Return' }).click();
    expect(await page.getByRole('columnheader', { name: 'Return' }).getAttribute('aria-sort')).toBe('descending');
    expect(await names()).toEqual(['North Sea Trend', 'Carry & Patience', 'Mean Reverter', 'Just Registered']);
    await page.getByRole('button', { name: 'Return' }).click();
    expect(await page.getByRole('columnheader', { name: 'Return' }).getAttribute('aria-sort')).toBe('ascending');
    expect(await names()).toEqual(['Mean Reverter', 'Carry & Patience', 'North Sea Trend', 'Just Registered']);
  });

  test('are found by name, address and market, and say when nothing matches', async () => {
    await page.goto(fixture.url);
    const search = page.getByLabel('Search by name, address or market');
    await search.fill('patience btc');
    expect(await names()).toEqual(['Carry & Patience']);
    await search.fill('0xca11'.slice(2));
    expect(await names()).toEqual(['Mean Reverter']);
    await search.fill('nobody');
    await page.getByText('Nothing matches “nobody”').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    expect(await names()).toHaveLength(4);
  });

  test('say so when there are none, and when the API is gone, and come back by themselves', async () => {
    fixture.empty = true;
    await page.goto(fixture.url);
    await page.getByText('Nobody can be followed yet').waitFor();
    fixture.empty = false;
    fixture.failing = true;
    watched.expect(/503/);
    await page.reload();
    await page.getByRole('alert').getByText('The store is not there now.').waitFor();
    await picture(page, 'behaviour-api-gone');
    fixture.failing = false;
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('link', { name: 'North Sea Trend', exact: true }).waitFor();
  });

  test('figures explain themselves to a keyboard, and stop when told', async () => {
    await page.goto(fixture.url);
    const figure = page.getByRole('row', { name: /North Sea Trend/ }).getByRole('button', { name: /34.75/ });
    await figure.focus();
    const tip = page.getByRole('tooltip');
    await tip.getByText('last NAV index ÷ NAV index at the start of the window − 1').waitFor();
    await tip.getByText('3,200 NAV points').waitFor();
    await picture(page, 'behaviour-tip', false);
    await page.keyboard.press('Escape');
    expect(await tip.count()).toBe(0);
  });

  test('keep their place while they load', async () => {
    await page.addInitScript(() => {
      const shifts: { value: number; what: string }[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as unknown as { value: number; sources: unknown[] }[]) {
          shifts.push({ value: entry.value, what: entry.sources.map((source) => JSON.stringify(source)).join(' ') });
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(fixture.url);
    await page.locator('.spark path').nth(5).waitFor({ state: 'attached' });
    await page.waitForTimeout(300);
    const shifts = await page.evaluate(() => (window as unknown as { shifts: { value: number; what: string }[] }).shifts);
    // Below 0.1 is what is called good; here next to nothing may move.
    expect(shifts.reduce((sum, { value }) => sum + value, 0), JSON.stringify(shifts)).toBeLessThan(0.02);
  });
});

describe('announced terms', () => {
  const HOUR = 3_600_000;
  const announce = (effectiveIn: number, lapsesIn: number): void => {
    const { terms } = strategy(MADE[0] as (typeof MADE)[number]);
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
    fixture.pendingTerms = { terms: { ...terms, copyFeeBps: 9 }, effectiveAt: at(effectiveIn), lapsesAt: at(lapsesIn) };
  };
  const notice = () => page.getByText('New terms are announced');

  test('say from when and until when they may apply', async () => {
    announce(HOUR, 25 * HOUR);
    await page.goto(`${fixture.url}/strategies/1`);
    await notice().waitFor();
    const { effectiveAt, lapsesAt } = fixture.pendingTerms ?? {};
    const text = page.getByRole('main').locator('p').filter({ has: notice() });
    expect(await text.locator('time').evaluateAll((times) => times.map((time) => time.getAttribute('datetime')))).toEqual([effectiveAt, lapsesAt]);
    expect(await text.textContent()).toMatch(/may apply from .*0\.09 % of volume.*can leave before then.*they lapse/s);
    await picture(page, 'behaviour-announced-terms');
  });

  test('say that anyone may apply them now, and go from an open page when nobody has', async () => {
    announce(-HOUR, 15_000);
    await page.goto(`${fixture.url}/strategies/1`);
    await page.getByText('and anyone may apply them now').waitFor();
    // The API still names them: the page’s own clock has to know better.
    await notice().waitFor({ state: 'detached' });
  });
});

describe('the NAV curve', () => {
  const slider = () => page.getByRole('slider', { name: 'Point of the NAV record' });
  const queries = (): URLSearchParams[] => fixture.navRequests.map((each) => new URLSearchParams(each));

  beforeEach(async () => {
    await page.goto(`${fixture.url}/strategies/1`);
    await page.locator('canvas').waitFor();
    await page.locator('.live[data-on="true"]').waitFor();
    await page.getByText(/Showing \d+ of 3200 points/).waitFor();
  });

  test('fetches finer points for the part that was dragged over, and only that', async () => {
    const before = queries().length;
    const box = await slider().boundingBox();
    if (box === null) throw new Error('no chart');
    await page.mouse.move(box.x + 200, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + 260, box.y + 120, { steps: 4 });
    await page.mouse.move(box.x + 320, box.y + 110, { steps: 4 });
    await page.mouse.up();
    await page.getByText(/All \d+ points of this stretch are shown/).waitFor();
    expect(queries().length).toBe(before + 1);
    const query = queries().at(-1);
    const length = Date.parse(query?.get('to') ?? '') - Date.parse(query?.get('from') ?? '');
    expect(length).toBeGreaterThan(10 * 86_400_000);
    expect(length).toBeLessThan(24 * 86_400_000);
    expect(Number(query?.get('points'))).toBeGreaterThan(1000);
    await picture(page, 'behaviour-zoomed', false);
    await page.getByRole('button', { name: 'Reset' }).click();
    await page.getByText(/Showing \d+ of 3200 points/).waitFor();
  });

  test('is served by the keyboard alone', async () => {
    await slider().focus();
    const at = async (): Promise<number> => Number(await slider().getAttribute('aria-valuenow'));
    expect(await at()).toBe(3199);
    await page.keyboard.press('ArrowLeft');
    const left = await at();
    expect(left).toBeLessThan(3199);
    expect(await slider().getAttribute('aria-valuetext')).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, NAV index \d\.\d{6}$/);
    await page.keyboard.press('Home');
    expect(await at()).toBe(0);
    await page.keyboard.press('End');
    for (const _press of [1, 2, 3, 4]) await page.keyboard.press('+');
    await page.getByText(/All \d+ points of this stretch are shown/).waitFor();
    expect(Number(await slider().getAttribute('aria-valuemin'))).toBeGreaterThan(2500);
    await page.keyboard.press('0');
    await page.getByText(/Showing \d+ of 3200 points/).waitFor();
  });

  test('range buttons say which is pressed', async () => {
    await page.getByRole('group', { name: 'Range' }).getByRole('button', { name: 'last 7 days' }).click();
    await page.getByText(/All \d+ points of this stretch are shown/).waitFor();
    expect(await page.getByRole('group', { name: 'Range' }).getByRole('button', { name: 'last 7 days' }).getAttribute('aria-pressed')).toBe('true');
  });

  test('grows as points are pushed, without being asked', async () => {
    const before = queries().length;
    const point = fixture.push();
    await page.waitForFunction((index) => document.querySelector('[role=slider]')?.getAttribute('aria-valuenow') === String(index), point.index);
    expect(queries().length).toBe(before);
  });
});

describe('following', () => {
  async function ready(path: string): Promise<void> {
    await page.goto(`${fixture.url}${path}`);
    await connectWallet(page);
    await page.getByRole('button', { name: 'Review and sign' }).waitFor();
  }

  test('without a wallet explains what one is for', async () => {
    await page.goto(`${fixture.url}/strategies/1/follow`);
    await page.getByText('No wallet was found in this browser.').waitFor();
    await picture(page, 'behaviour-no-wallet');
  });

  test('lists every wallet that announced itself, and asks only the chosen one', async () => {
    const first = await addWallet(page, { key: KEY, chains: [CHAIN_ID], name: 'First Wallet' });
    const second = await addWallet(page, { key: KEY, chains: [CHAIN_ID], name: 'Second Wallet' });
    await page.goto(fixture.url);
    await page.getByRole('button', { name: 'Connect wallet' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Second Wallet' }).waitFor();
    await picture(page, 'behaviour-wallets', false);
    await page.getByRole('dialog').getByRole('button', { name: 'Second Wallet' }).click();
    await page.getByRole('button', { name: /Wallet 0x/ }).waitFor();
    expect(first.requests).toEqual([]);
    expect(second.requests).toEqual(['eth_requestAccounts', 'eth_chainId']);
    // It is taken up again after a reload, without asking the person.
    await page.reload();
    await page.getByRole('button', { name: /Wallet 0x/ }).waitFor();
    expect(second.requests.filter((method) => method === 'eth_requestAccounts')).toHaveLength(1);
  });

  test('says beside each field what is wrong with it, and signs nothing', async () => {
    const wallet = await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await ready('/strategies/2/follow');
    await page.getByLabel('Deposit').fill('99999');
    await page.getByLabel('Most leverage').fill('2,5');
    await page.getByLabel('Most turnover').fill('12');
    await page.getByRole('button', { name: 'Review and sign' }).click();
    await page.getByText('Use a point for decimals').waitFor();
    await page.getByText('room to close is kept free').waitFor();
    expect(await page.locator('[aria-invalid="true"]').count()).toBe(3);
    await picture(page, 'behaviour-wrong-bounds');
    expect(wallet.signed).toEqual([]);
  });

  test('warns when turnover leaves no room to use the other bounds', async () => {
    await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await ready('/strategies/2/follow');
    await page.getByLabel('Most turnover').fill('1000');
    await page.getByText('The turnover leaves room for 500.00 USDC only').waitFor();
    await page.getByTestId('worst-loss').filter({ hasText: '5.00' }).waitFor();
  });

  test('tells in the API’s own words why a mandate was refused', async () => {
    await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await ready('/strategies/2/follow');
    await page.getByLabel('Most slippage').fill('100');
    await page.getByRole('button', { name: 'Review and sign' }).click();
    watched.expect(/422/);
    await page.getByRole('button', { name: 'Sign in the wallet' }).click();
    await page.getByRole('alert').getByText('The slippage bound is as wide as it can be. Sign at most 1,000 bps.').waitFor();
    await page.getByRole('button', { name: 'Back to the bounds' }).click();
    expect(await page.getByLabel('Most slippage').inputValue()).toBe('100');
  });
});

describe('the account', () => {
  test('explains every outcome in words', async () => {
    await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await page.goto(fixture.url);
    await connectWallet(page);
    await page.getByRole('link', { name: 'My account' }).first().click();
    await page.getByRole('button', { name: 'Turnover bound' }).first().focus();
    await page.getByRole('tooltip').getByText('It starts again at 00:00 UTC.').waitFor();
    const table = page.getByRole('table', { name: /Fills/ });
    await table.getByText('Slippage bound').first().waitFor();
    await page.getByLabel('Show skipped').uncheck();
    await table.getByText('Slippage bound').first().waitFor({ state: 'detached' });
    expect(await page.getByRole('link', { name: 'CSV' }).getAttribute('href')).toMatch(/fills\.csv\?skipped=false$/);
  });

  test('of someone else can be looked at, and not touched', async () => {
    await page.goto(`${fixture.url}/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`);
    await page.getByText('shown read-only').waitFor();
    await page.getByText('2,611.48').first().waitFor();
    expect(await page.getByRole('button', { name: 'Withdraw' }).count()).toBe(0);
  });
});

test('what is not working is said on every page, with the way out', async () => {
  fixture.keeperDown = true;
  fixture.breakerUntil = new Date(Date.now() + 600_000).toISOString();
  await page.goto(`${fixture.url}/strategies/1`);
  await page.getByRole('alert').getByText('The keeper is not working').waitFor();
  await page.getByRole('alert').getByText('The breaker is on until').waitFor();
  await page.locator('canvas').waitFor();
  await picture(page, 'behaviour-alarms', false);
  fixture.keeperDown = false;
  fixture.breakerUntil = null;
  await page.getByRole('alert').waitFor({ state: 'detached' });
});

test('an audit that finds a difference says which and how many', async () => {
  fixture.corrupted = 3;
  await page.goto(`${fixture.url}/audit?strategy=1`);
  const summary = page.getByTestId('audit-summary');
  await summary.getByText('3197 of 3200 equal').waitFor({ timeout: 60_000 });
  await summary.getByText('3 not equal').waitFor();
  await page.getByLabel('Only what is not equal').check();
  expect(await page.getByRole('cell', { name: 'not equal' }).count()).toBe(3);
  await picture(page, 'behaviour-audit-different', false);
});

test('an audit of a strategy that the list has no room for is of that one', async () => {
  await page.route(/\/api\/v1\/strategies\?/, async (route) => {
    const reply = await route.fetch();
    const list = (await reply.json()) as { items: { id: string }[] };
    await route.fulfill({ response: reply, json: { ...list, items: list.items.filter(({ id }) => id !== '2') } });
  });
  await page.goto(`${fixture.url}/audit?strategy=2`);
  await page.getByTestId('audit-summary').waitFor();
  expect(await page.getByLabel('Strategy').inputValue()).toBe('2');
});

test('the theme is the system’s until chosen, and the choice lasts', async () => {
  await page.goto(fixture.url);
  const background = (): Promise<string> => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: /^Theme: system/ }).click();
  await page.getByRole('button', { name: /^Theme: light/ }).click();
  await page.getByRole('button', { name: /^Theme: dark/ }).waitFor();
  expect(await background()).not.toBe(light);
  const dark = await background();
  await page.reload();
  expect(await background()).toBe(dark);
});

test('a page that does not exist says so, and leaving it moves the focus to the next heading', async () => {
  await page.goto(`${fixture.url}/nowhere`);
  await page.getByText('There is no such page').waitFor();
  await page.getByRole('link', { name: 'To the masters' }).click();
  await page.waitForFunction(() => document.activeElement?.tagName === 'H1' && document.activeElement.textContent === 'Masters');
  expect(await page.title()).toBe('Masters · Lockstep');
});
