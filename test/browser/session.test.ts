/** Signing in, and what only the owner of an address sees: names and the requests handed to the relay. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CHAIN_ID } from './fixture/data';
import { startFixture, type Fixture } from './fixture/server';
import { launch, open, picture, type Watched } from './support/browser';
import { addWallet, connectWallet, type TestWallet } from './support/wallet';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const OTHER_KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';

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

const signInButton = () => page.getByRole('main').getByRole('button', { name: 'Sign in' });
const signedIn = () => page.getByRole('main').getByText(/Signed in until/);
const requests = () => page.getByRole('table', { name: /Requests handed to the relay/ });
const request = (text: string) => requests().getByRole('row').filter({ hasText: text });

/** On the account page with a wallet that is connected and not signed in. */
async function arrive(options: { readonly signsWith?: `0x${string}` } = {}): Promise<TestWallet> {
  const wallet = await addWallet(page, { key: KEY, chains: [CHAIN_ID], ...options });
  await page.goto(`${fixture.url}/register`);
  await connectWallet(page);
  await page.getByRole('link', { name: 'My account' }).first().click();
  await signInButton().waitFor();
  return wallet;
}

async function enter(): Promise<TestWallet> {
  const wallet = await arrive();
  await signInButton().click();
  await signedIn().waitFor();
  return wallet;
}

describe('signing in', () => {
  test('takes one message that names this site, and nothing else', async () => {
    const wallet = await enter();
    const host = new URL(fixture.url).host;
    expect(wallet.messages).toHaveLength(1);
    expect(wallet.messages[0]).toContain(`${host} wants you to sign in with your Ethereum account:\n${wallet.account.address}\n`);
    expect(wallet.messages[0]).toContain(`URI: ${fixture.url}\nVersion: 1\nChain ID: ${CHAIN_ID}\n`);
    expect(wallet.signed).toEqual([]);
    expect(wallet.sent).toEqual([]);
    await picture(page, 'session-signed-in');
  });

  test('is never asked for on its own, and lasts over a reload', async () => {
    const wallet = await arrive();
    expect(wallet.requests).not.toContain('personal_sign');
    await signInButton().click();
    await signedIn().waitFor();
    await page.reload();
    await signedIn().waitFor();
    await request('Withdrawal').first().waitFor();
    expect(wallet.messages).toHaveLength(1);
  });

  test('may be declined, and tried again', async () => {
    const wallet = await arrive();
    wallet.declineNext();
    await signInButton().click();
    await page.getByText('You declined in the wallet').waitFor();
    expect(wallet.messages).toEqual([]);
    await signInButton().click();
    await signedIn().waitFor();
  });

  test('with a signature that is not the account’s is refused in words', async () => {
    await arrive({ signsWith: OTHER_KEY });
    watched.expect(/401/);
    await signInButton().click();
    await page.getByRole('alert').getByText('The signature is not this address').waitFor();
    expect(await signedIn().count()).toBe(0);
  });

  test('is not offered to a wallet on behalf of another site', async () => {
    fixture.loginOrigin = 'https://lockstep.example';
    const wallet = await arrive();
    await signInButton().click();
    await page.getByRole('alert').getByText('Signing in is only possible on https://lockstep.example').waitFor();
    expect(wallet.requests).not.toContain('personal_sign');
  });

  test('that the API has ended is said to be over', async () => {
    await enter();
    fixture.endSessions();
    watched.expect(/401/);
    await page.reload();
    await page.getByText('Your session is over').waitFor();
    expect(await requests().count()).toBe(0);
  });

  test('is in the wallet’s menu too, and signing out ends it at the API', async () => {
    await addWallet(page, { key: KEY, chains: [CHAIN_ID] });
    await page.goto(fixture.url);
    await connectWallet(page);
    await page.getByRole('button', { name: /Wallet 0x/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.getByText(/Signed in until/).waitFor();
    await picture(page, 'session-menu', false);
    const [cookie] = (await watched.context.cookies(`${fixture.url}/api/v1/me`)).filter(({ name }) => name === 'lockstep_session');
    expect(cookie?.httpOnly).toBe(true);
    await dialog.getByRole('button', { name: 'Sign out' }).click();
    await dialog.getByRole('button', { name: 'Sign in' }).waitFor();
    const reply = await fetch(`${fixture.url}/api/v1/me`, { headers: { cookie: `lockstep_session=${cookie?.value ?? ''}` } });
    expect(reply.status).toBe(401);
  });
});

describe('names', () => {
  test('are given, shown wherever the account is, and taken away again', async () => {
    await enter();
    await page.getByRole('button', { name: 'Name this account of North Sea Trend' }).click();
    const field = page.getByLabel('Your name for this account');
    await field.fill('Rainy day money');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 2, name: 'Rainy day money' }).waitFor();
    // The strategy's own name stays beside it: a name of one's own must not hide whom one follows.
    await page.getByRole('region', { name: 'Rainy day money' }).getByText('North Sea Trend').waitFor();
    await request('Rainy day money').first().waitFor();
    await page.getByRole('table', { name: /Fills/ }).getByText('Rainy day money').first().waitFor();
    await picture(page, 'session-named');
    // The focus is back where it came from, for who uses the keyboard.
    await page.waitForFunction(() => document.activeElement?.textContent === 'Rename');
    await page.goto(fixture.url);
    await page.getByRole('row', { name: /North Sea Trend/ }).getByText('You follow this as “Rainy day money”').waitFor();
    await page.goto(`${fixture.url}/strategies/1`);
    await page.getByText('You follow this as “Rainy day money”').waitFor();
    await page.goto(`${fixture.url}/strategies/2`);
    await page.getByRole('heading', { level: 1, name: 'Carry & Patience' }).waitFor();
    expect(await page.getByText('You follow this').count()).toBe(0);
    await page.goto(`${fixture.url}/account`);
    await page.getByRole('heading', { level: 2, name: 'Rainy day money' }).waitFor();
    await page.getByRole('button', { name: 'Rename this account of North Sea Trend' }).click();
    await field.fill('');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { level: 2, name: 'North Sea Trend' }).waitFor();
  });

  test('that are too long are refused while typing', async () => {
    await enter();
    await page.getByRole('button', { name: 'Name this account of North Sea Trend' }).click();
    const field = page.getByLabel('Your name for this account');
    await field.fill('x'.repeat(65));
    await page.getByText('At most 64 characters; this has 65.').waitFor();
    expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Name this account of North Sea Trend' }).waitFor();
  });

  test('are not shown to who is not signed in', async () => {
    await enter();
    await page.getByRole('button', { name: 'Name this account of North Sea Trend' }).click();
    await page.getByLabel('Your name for this account').fill('Mine alone');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 2, name: 'Mine alone' }).waitFor();
    await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { level: 2, name: 'North Sea Trend' }).waitFor();
    expect(await page.getByText('Mine alone').count()).toBe(0);
  });
});

describe('requests sent', () => {
  test('say where each stands, why it was refused and what to do', async () => {
    await enter();
    const poor = request('Too little USDC');
    await poor.getByText('Your wallet held less USDC than the deposit.').waitFor();
    await poor.getByText('Add USDC, or sign a smaller deposit.').waitFor();
    expect(await poor.getByRole('link', { name: 'To the bounds' }).getAttribute('href')).toMatch(/^\/strategies\/1\/follow\?vault=0x/);
    // A code that came after this page was built still says what the service said.
    await request('Some new code').getByText('The contract refused: SomeNewCode.').waitFor();
    await request('Not known').getByText('the same signature is never carried out twice').waitFor();
    expect(await request('Done').count()).toBe(0);
    await page.getByRole('button', { name: 'Show 1 more' }).click();
    await request('Done').getByText('Block 4711').waitFor();
  });

  test('move on by themselves', async () => {
    await enter();
    await page.getByRole('contentinfo').getByText('live').waitFor();
    const queued = request('New bounds');
    await queued.getByText('Waiting', { exact: true }).waitFor();
    fixture.moveRelay(1, { state: 'included', transaction: `0x${'ab'.repeat(32)}`, block: 5020 });
    await queued.getByText('Block 5020').waitFor({ timeout: 10_000 });
  });

  test('are nobody else’s to see', async () => {
    await page.goto(`${fixture.url}/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266`);
    await page.getByText('shown read-only').waitFor();
    await page.getByRole('table', { name: /Fills/ }).getByRole('rowheader').first().waitFor();
    expect(await page.getByRole('heading', { name: 'Requests you sent' }).count()).toBe(0);
  });
});
