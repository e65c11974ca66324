/**
 * What each page weighs and how soon it is there on a slow line, with made-up data. The figures are written to
 * `artefacts/weight.json`; the limits are a little above what they were when last looked at, so that a page cannot grow
 * heavy unnoticed.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startFixture, type Fixture } from './fixture/server';
import { ARTEFACTS, launch, open } from './support/browser';

/** What Lighthouse calls slow 4G: 1.6 Mbit/s, 150 ms there and back, and a phone four times slower than this machine. */
const LINE = { offline: false, latency: 150, downloadThroughput: (1.6 * 1024 * 1024) / 8, uploadThroughput: (750 * 1024) / 8 };
const SLOWER = 4;

interface Weighed {
  readonly scriptAndStyleBytes: number;
  readonly allBytes: number;
  readonly requests: number;
  readonly firstPaintMs: number;
  readonly readyMs: number;
}

let browser: Browser;
let fixture: Fixture;
const weighed: Record<string, Weighed> = {};

beforeAll(async () => {
  [browser, fixture] = await Promise.all([launch(), startFixture()]);
});
afterAll(async () => {
  await writeFile(join(ARTEFACTS, 'weight.json'), `${JSON.stringify(weighed, undefined, 2)}\n`);
  await browser.close();
  await fixture.close();
});

async function weigh(path: string, ready: (page: Page) => Promise<unknown>): Promise<Weighed> {
  const watched = await open(browser, { size: 'phone' });
  const { page } = watched;
  const devtools = await watched.context.newCDPSession(page);
  await devtools.send('Network.enable');
  await devtools.send('Network.emulateNetworkConditions', LINE);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  const kinds = new Map<string, string>();
  let code = 0;
  let all = 0;
  devtools.on('Network.responseReceived', ({ requestId, type }) => void kinds.set(requestId, type));
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    all += encodedDataLength;
    if (['Script', 'Stylesheet'].includes(kinds.get(requestId) ?? '')) code += encodedDataLength;
  });
  const started = Date.now();
  await page.goto(fixture.url + path, { waitUntil: 'commit' });
  await ready(page);
  const readyMs = Date.now() - started;
  const firstPaintMs = await page.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0));
  const result = { scriptAndStyleBytes: code, allBytes: all, requests: kinds.size, firstPaintMs, readyMs };
  watched.verify();
  await watched.close();
  return result;
}

test.each([
  { name: 'masters', path: '/', most: 42_000, within: 4_000, ready: (page: Page) => page.getByRole('link', { name: 'North Sea Trend', exact: true }).waitFor() },
  { name: 'strategy', path: '/strategies/1', most: 230_000, within: 7_000, ready: (page: Page) => page.locator('canvas').waitFor() },
  { name: 'follow', path: '/strategies/1/follow', most: 120_000, within: 6_000, ready: (page: Page) => page.getByText('No wallet was found').waitFor() },
  { name: 'account', path: '/account?address=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', most: 125_000, within: 6_000, ready: (page: Page) => page.getByText('2,611.48').first().waitFor() },
  { name: 'audit', path: '/audit?strategy=2', most: 115_000, within: 15_000, ready: (page: Page) => page.getByText('900 of 900 equal').waitFor() },
  { name: 'register', path: '/register', most: 115_000, within: 6_000, ready: (page: Page) => page.getByText('No wallet was found').waitFor() },
])('$name is light, and there soon on a slow line', async ({ name, path, most, within, ready }) => {
  const found = await weigh(path, ready);
  weighed[name] = found;
  expect(found.scriptAndStyleBytes).toBeLessThan(most);
  expect(found.firstPaintMs).toBeGreaterThan(0);
  expect(found.readyMs).toBeLessThan(within);
});

test('neither the chart nor the chain’s code is fetched for the list of masters', async () => {
  const watched = await open(browser);
  const { page } = watched;
  const files: string[] = [];
  page.on('response', (response) => void files.push(new URL(response.url()).pathname));
  await page.goto(fixture.url);
  await page.locator('.spark path').first().waitFor({ state: 'attached' });
  const scripts = files.filter((file) => file.endsWith('.js'));
  expect(scripts.length).toBeGreaterThan(0);
  expect(scripts.filter((file) => /(paint|secp256k1|fields|ccip)-/.test(file))).toEqual([]);
  watched.verify();
  await watched.close();
});
