/**
 * What a follower, a master and an auditor do, in a real browser against a running stack (`LOCKSTEP_URL`). What the page
 * says is held against what the chain says, and the wallet shows exactly what was signed.
 */
import { encodeFunctionData, getAddress, type Address, type Hex } from 'viem';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { components } from '../../api/web/src/api/schema';
import { launch, open, picture, type Watched } from './support/browser';
import { STATUS, connectStack, eventually, vaultAbi, type Stack } from './support/stack';
import { addWallet, connectWallet, type TestWallet } from './support/wallet';

type Schemas = components['schemas'];

const url = process.env['LOCKSTEP_URL'];
const USDC = 10n ** 6n;

describe.skipIf(url === undefined)('on a running stack', () => {
  let browser: Browser;
  let stack: Stack;
  let strategy: Schemas['Strategy'];
  let vault: Address;

  beforeAll(async () => {
    browser = await launch();
    stack = await connectStack(url ?? '');
    const { items } = await stack.api<Schemas['Page_Strategy']>('/strategies?sort=followers');
    const most = items[0];
    if (most === undefined) throw new Error('the stack has no strategy to follow');
    strategy = most;
    vault = getAddress(most.vaults.at(-1) ?? '');
  });
  afterAll(async () => {
    await browser.close();
  });

  const accountOf = (who: Address): Promise<number> =>
    stack.chain.readContract({ address: vault, abi: vaultAbi, functionName: 'accountOf', args: [who] });
  const viewOf = async (who: Address): Promise<{ readonly status: number; readonly maxSlippageBps: number; readonly maxLeverageBps: number; readonly stopLossBps: number; readonly margin: bigint }> =>
    stack.chain.readContract({ address: vault, abi: vaultAbi, functionName: 'accountView', args: [await accountOf(who)] });

  /** A page with a wallet that owns `usdc` whole USDC, and starts on `chains`. */
  async function visitor(usdc: bigint, chains: readonly number[] = [stack.deployment.chainId], ether = '1'): Promise<{ watched: Watched; page: Page; wallet: TestWallet }> {
    const key = await stack.fund(usdc, ether);
    const watched = await open(browser);
    const wallet = await addWallet(watched.page, { key, chains, rpcUrl: stack.rpcUrl });
    return { watched, page: watched.page, wallet };
  }

  async function follow(page: Page, deposit: string): Promise<void> {
    await page.goto(`${stack.url}/strategies/${strategy.id}/follow`);
    await page.getByLabel('Deposit').fill(deposit);
    await page.getByRole('button', { name: 'Review and sign' }).click();
    await page.getByRole('button', { name: 'Sign in the wallet' }).click();
    await page.getByRole('heading', { name: 'You are in step' }).waitFor({ timeout: 90_000 });
  }

  describe('a follower', () => {
    let person: Awaited<ReturnType<typeof visitor>>;
    let address: Address;

    beforeAll(async () => {
      // On another chain, and not knowing the deployment's: the page has to help with both. Without any ether at all.
      person = await visitor(2_000n, [1], '0');
      address = person.wallet.account.address;
    });
    afterAll(async () => {
      await person.watched.close();
    });

    test('connects, is helped onto the right chain, and may decline', async () => {
      const { page, wallet, watched } = person;
      await page.goto(stack.url);
      await page.getByRole('link', { name: strategy.name, exact: true }).click();
      await page.getByRole('heading', { level: 1, name: strategy.name }).waitFor();
      await page.getByRole('link', { name: 'Follow', exact: true }).click();
      await page.getByRole('main').getByRole('button', { name: 'Test Wallet' }).click();
      await page.getByRole('button', { name: /^Switch to/ }).click();
      await page.getByText('Your wallet holds 2,000.00 USDC.').waitFor();
      expect(wallet.requests).toContain('wallet_addEthereumChain');

      await page.getByLabel('Deposit').fill('1000');
      // Half of the master's leverage, so that some margin stays free to be withdrawn.
      await page.getByLabel('Ratio').fill('0.5');
      await page.getByLabel('Most slippage').fill('0.8');
      await page.getByTestId('worst-loss').filter({ hasText: '64.00' }).waitFor();
      await picture(page, 'flow-follow-bounds');
      await page.getByRole('button', { name: 'Review and sign' }).click();
      await picture(page, 'flow-follow-review');
      wallet.declineNext();
      await page.getByRole('button', { name: 'Sign in the wallet' }).click();
      await page.getByText('You declined in the wallet').waitFor();
      expect(wallet.signed).toEqual([]);
      watched.verify();
    });

    test('signs once for the bounds and the deposit, and is in step without gas', async () => {
      const { page, wallet, watched } = person;
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByRole('heading', { name: 'You are in step' }).waitFor({ timeout: 120_000 });
      await picture(page, 'flow-follow-done');

      expect(wallet.signed.map(({ primaryType }) => primaryType)).toEqual(['Permit', 'PermitWitnessTransferFrom']);
      expect(wallet.signed[0]?.message).toMatchObject({ spender: stack.deployment.contracts.permit2, value: '1000000000' });
      expect(wallet.signed[1]?.domain).toEqual({ name: 'Permit2', chainId: stack.deployment.chainId, verifyingContract: stack.deployment.contracts.permit2 });
      expect(wallet.signed[1]?.message).toMatchObject({
        permitted: { token: stack.deployment.contracts.usdc, amount: '1000000000' },
        spender: stack.deployment.contracts.engine,
        witness: { follower: address, strategy: vault, mode: 0, ratioBps: 5_000, maxSlippageBps: 80, stopLossBps: 2500, deposit: '1000000000', allowedMarkets: strategy.markets.map(({ symbol }) => symbol) },
      });
      expect(wallet.sent).toEqual([]);
      expect(await stack.chain.getBalance({ address })).toBe(0n);
      expect(await stack.usdcOf(address)).toBe(1_000n * USDC);
      expect(await viewOf(address)).toMatchObject({ status: STATUS.active, maxSlippageBps: 80, stopLossBps: 2500 });
      watched.verify();
    });

    test('sees the account and each fill with its reason', async () => {
      const { page, watched } = person;
      await page.getByRole('link', { name: 'To my account' }).click();
      await page.getByRole('heading', { level: 1, name: 'My account' }).waitFor();
      await page.getByText('Following', { exact: true }).waitFor();
      // The master trades all the time; the next batch names this account and appears by itself.
      await page.getByRole('table', { name: /Fills and skipped lines/ }).getByRole('rowheader').first().waitFor({ timeout: 120_000 });
      const fills = await stack.api<Schemas['Page_Fill']>(`/accounts/${address}/fills?skipped=true`);
      expect(fills.items.length).toBeGreaterThan(0);
      const csv = await page.request.get(new URL((await page.getByRole('link', { name: 'CSV' }).getAttribute('href')) ?? '', stack.url).href);
      expect(csv.ok()).toBe(true);
      expect(csv.headers()['content-type']).toContain('text/csv');
      await picture(page, 'flow-account');
      watched.verify();
    });

    test('changes the bounds with a signature that moves no money', async () => {
      const { page, wallet, watched } = person;
      const before = wallet.signed.length;
      await page.getByRole('link', { name: 'Add or change bounds' }).click();
      await page.getByText('You already follow this strategy').waitFor();
      await page.getByLabel('Most slippage').fill('0.6');
      await page.getByRole('button', { name: 'Review and sign' }).click();
      await page.getByRole('button', { name: 'Sign in the wallet' }).click();
      await page.getByRole('heading', { name: 'You are in step' }).waitFor({ timeout: 90_000 });
      const signed = wallet.signed.slice(before);
      expect(signed.map(({ primaryType }) => primaryType)).toEqual(['Mandate']);
      expect(signed[0]?.domain).toMatchObject({ name: 'Lockstep', version: '1', verifyingContract: stack.deployment.contracts.engine });
      expect(signed[0]?.message).toMatchObject({ deposit: '0', maxSlippageBps: 60 });
      expect((await viewOf(address)).maxSlippageBps).toBe(60);
      expect(await stack.usdcOf(address)).toBe(1_000n * USDC);
      watched.verify();
    });

    test('signs in, names the account, and finds each request with its block', async () => {
      const { page, wallet, watched } = person;
      await page.goto(`${stack.url}/account`);
      await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
      await page.getByText(/Signed in until/).waitFor();
      expect(wallet.messages).toHaveLength(1);
      expect(wallet.messages[0]).toContain(address);
      const table = page.getByRole('table', { name: /Requests handed to the relay/ });
      for (const kind of ['New bounds', 'Deposit and bounds']) {
        const row = table.getByRole('row').filter({ hasText: kind });
        await row.getByText('Done', { exact: true }).waitFor();
        const text = (await row.textContent()) ?? '';
        const [, block] = /Block (\d+)/.exec(text) ?? [];
        const me = (await (await page.request.get(`${stack.url}/api/v1/me`)).json()) as Schemas['Me'];
        const record = me.relays.find(({ last }) => last.state === 'included' && last.block === Number(block));
        if (record?.last.state !== 'included') throw new Error(`no request in block ${block ?? '?'}`);
        const receipt = await stack.chain.getTransactionReceipt({ hash: record.last.transaction as Hex });
        expect([receipt.status, receipt.blockNumber]).toEqual(['success', BigInt(record.last.block)]);
      }
      await page.getByRole('button', { name: /^Name this account/ }).click();
      await page.getByLabel('Your name for this account').fill('Browser test');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 2, name: 'Browser test' }).waitFor();
      await picture(page, 'flow-signed-in');
      await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('heading', { level: 2, name: strategy.name }).waitFor();
      watched.expect(/\/api\/v1\/me|status of 401/);
      expect((await page.request.get(`${stack.url}/api/v1/me`)).status()).toBe(401);
      watched.verify();
    });

    test('withdraws an amount, to nobody but themselves', async () => {
      const { page, wallet, watched } = person;
      await page.goto(`${stack.url}/account`);
      await page.getByRole('button', { name: 'Withdraw' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('An amount').click();
      await dialog.getByRole('textbox', { name: 'Amount' }).fill('25.5');
      await picture(page, 'flow-withdraw', false);
      await dialog.getByRole('button', { name: 'Sign the withdrawal' }).click();
      await dialog.getByRole('button', { name: 'Close', exact: true }).last().waitFor();
      await dialog.getByText('Paid to your wallet').waitFor();
      await eventually('the withdrawal', async () => (await stack.usdcOf(address)) === 1_025_500_000n);
      await dialog.getByRole('listitem').filter({ hasText: 'Paid to your wallet (done)' }).waitFor();
      expect(wallet.signed.at(-1)).toMatchObject({ primaryType: 'Withdraw', message: { follower: address, strategy: vault, amount: '25500000' } });
      expect(wallet.sent).toEqual([]);
      await dialog.getByRole('button', { name: 'Close', exact: true }).last().click();
      watched.verify();
    });

    test('stops, and the next batches close what is open', async () => {
      const { page, wallet, watched } = person;
      await page.getByRole('button', { name: 'Stop', exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Sign the stop' }).click();
      await dialog.getByRole('listitem').filter({ hasText: 'Stopped (done)' }).waitFor({ timeout: 60_000 });
      await picture(page, 'flow-stop', false);
      await dialog.getByRole('button', { name: 'Close', exact: true }).last().click();
      await page.getByRole('button', { name: 'Stopped', exact: true }).waitFor();
      expect(wallet.signed.at(-1)).toMatchObject({ primaryType: 'Stop', message: { follower: address, strategy: vault } });
      expect((await viewOf(address)).status).toBe(STATUS.stopped);
      watched.verify();
    });
  });

  test('a newcomer with too little is told before anything is signed', async () => {
    const { page, wallet, watched } = await visitor(20n, undefined, '0');
    await page.goto(`${stack.url}/strategies/${strategy.id}/follow`);
    await connectWallet(page);
    await page.getByLabel('Deposit').fill('500');
    await page.getByText('Your wallet holds 20.00 USDC.').first().waitFor();
    await page.getByRole('button', { name: 'Review and sign' }).click();
    expect(await page.getByLabel('Deposit').getAttribute('aria-invalid')).toBe('true');
    expect(wallet.signed).toEqual([]);
    watched.verify();
    await watched.close();
  });

  test('anyone can exit without Lockstep, from their own wallet', async () => {
    const { page, wallet, watched } = await visitor(400n);
    const { address } = wallet.account;
    await page.goto(stack.url);
    await connectWallet(page);
    await follow(page, '400');
    expect(await stack.usdcOf(address)).toBe(0n);
    await page.getByRole('link', { name: 'To my account' }).click();
    await page.getByRole('button', { name: 'Exit on my own…' }).waitFor();
    // From here on there is no Lockstep: no API, no relay, no stream. Not even what the page has read of it so far.
    await page.route('**/api/**', (route) => route.abort());
    watched.expect(/api\/v1|Failed to load resource/);
    await page.reload();
    await page.getByText('The API is unreachable.').waitFor();
    const account = page.getByRole('region', { name: strategy.name });
    await account.getByText('from the chain').waitFor();
    await account.getByText(/^(39\d|400)\.\d\d USDC$/).first().waitFor();
    await picture(page, 'flow-account-from-chain');
    await account.getByRole('button', { name: 'Exit on my own…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Worst price you accept').fill('5');
    await picture(page, 'flow-exit', false);
    await dialog.getByRole('button', { name: 'Exit now' }).click();
    await dialog.getByText('Everything of yours is closed and paid').waitFor({ timeout: 60_000 });
    expect(wallet.sent).toHaveLength(1);
    expect(wallet.sent[0]).toMatchObject({ to: vault, data: encodeFunctionData({ abi: [{ type: 'function', name: 'exit', stateMutability: 'nonpayable', inputs: [{ type: 'uint256', name: '' }], outputs: [] }], args: [500n] }) });
    expect((await viewOf(address)).status).toBe(STATUS.stopped);
    // Fees and slippage of a few minutes, and no more, are gone.
    expect(await stack.usdcOf(address)).toBeGreaterThan(360n * USDC);
    watched.verify();
    await watched.close();
  });

  test('a master registers with one transaction and can be followed', async () => {
    const { page, wallet, watched } = await visitor(0n);
    await page.goto(`${stack.url}/register`);
    await connectWallet(page);
    await page.getByLabel('Name').fill('Browser Master');
    await page.getByLabel('Performance fee').fill('3');
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByText('0, or between 5 and 15.').waitFor();
    expect(wallet.sent).toEqual([]);
    await page.getByLabel('Performance fee').fill('12.5');
    await picture(page, 'flow-register');
    await page.getByRole('button', { name: 'Register' }).click();
    await page.waitForURL(/\/strategies\/\d+$/, { timeout: 90_000 });
    await page.getByRole('heading', { level: 1, name: 'Browser Master' }).waitFor();
    const id = page.url().split('/').at(-1) ?? '';
    const made = await stack.api<Schemas['Strategy']>(`/strategies/${id}`);
    expect(made).toMatchObject({ name: 'Browser Master', proof: 'venue', terms: { performanceFeeBps: 1250, copyFeeBps: 5 } });
    expect(getAddress(made.master)).toBe(wallet.account.address);
    expect(getAddress(made.source ?? '')).toBe(wallet.account.address);
    expect(wallet.sent).toHaveLength(1);
    await picture(page, 'flow-registered');
    watched.verify();
    await watched.close();
  });

  test('an auditor finds every NAV point of the indexer equal to the chain’s', async () => {
    const watched = await open(browser);
    const { page } = watched;
    await page.goto(`${stack.url}/audit?strategy=${strategy.id}`);
    const summary = page.getByTestId('audit-summary');
    await summary.getByText(/of \d+ equal/).waitFor({ timeout: 120_000 });
    const [, equal = '0', compared = '1'] = /(\d+) of (\d+) equal/.exec((await summary.textContent()) ?? '') ?? [];
    expect(Number(compared)).toBeGreaterThan(5);
    expect(equal).toBe(compared);
    const onChain = await stack.chain.readContract({ address: getAddress(strategy.vaults[0] ?? ''), abi: vaultAbi, functionName: 'navCount' });
    expect(Number(compared)).toBeLessThanOrEqual(Number(onChain));
    await picture(page, 'flow-audit');
    watched.verify();
    await watched.close();
  });

  test('the NAV curve grows by itself', async () => {
    const watched = await open(browser);
    const { page } = watched;
    await page.goto(`${stack.url}/strategies/${strategy.id}`);
    await page.locator('.live[data-on="true"]').waitFor();
    const slider = page.getByRole('slider', { name: 'Point of the NAV record' });
    await slider.waitFor();
    const shown = async (): Promise<number> => Number(await slider.getAttribute('aria-valuenow'));
    const before = await eventually('a first point', async () => (await shown()) || undefined);
    // Anyone may record a point.
    await stack.send(getAddress(strategy.vaults[0] ?? ''), encodeFunctionData({ abi: vaultAbi, functionName: 'checkpoint' }) as Hex);
    await eventually('the point to arrive', async () => (await shown()) > before, 30_000);
    watched.verify();
    await watched.close();
  });

  test.each([
    ['desktop', 'light'],
    ['desktop', 'dark'],
    ['phone', 'light'],
    ['phone', 'dark'],
  ] as const)('every page, on %s, %s', async (size, theme) => {
    const watched = await open(browser, { size, theme });
    const { page } = watched;
    const followers = await stack.api<Schemas['Page_Account']>(`/strategies/${strategy.id}/followers?limit=1`);
    const pages: readonly (readonly [string, string, (page: Page) => Promise<unknown>])[] = [
      ['masters', '/', (each) => each.locator('.spark path').nth(1).waitFor()],
      ['strategy', `/strategies/${strategy.id}`, (each) => each.locator('.live[data-on="true"]').waitFor()],
      ['account', `/account?address=${followers.items[0]?.follower ?? ''}`, (each) => each.getByRole('table', { name: /Fills/ }).getByRole('rowheader').first().waitFor()],
      ['audit', `/audit?strategy=${strategy.id}`, (each) => each.getByText(/of \d+ equal/).waitFor({ timeout: 120_000 })],
      ['register', '/register', (each) => each.getByText('No wallet was found').waitFor()],
    ];
    for (const [name, path, ready] of pages) {
      await page.goto(stack.url + path);
      await ready(page);
      await picture(page, `live-${name}-${size}-${theme}`);
    }
    watched.verify();
    await watched.close();
  });
});
