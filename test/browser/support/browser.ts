/** Chromium, and pages that remember everything that went wrong in them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export const ARTEFACTS = join(import.meta.dirname, '../artefacts');

export const SIZES = {
  desktop: { width: 1440, height: 900 },
  tablet: { width: 768, height: 1024 },
  phone: { width: 360, height: 780 },
} as const;

export type SizeName = keyof typeof SIZES;
export type ThemeName = 'light' | 'dark';

export async function launch(): Promise<Browser> {
  await mkdir(ARTEFACTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env['LOCKSTEP_CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface Watched {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Console errors, uncaught exceptions, failed requests and refused replies. */
  readonly troubles: string[];
  /** Troubles that match are expected in this test. */
  expect(pattern: RegExp): void;
  /** Throws when anything unexpected went wrong. */
  verify(): void;
  close(): Promise<void>;
}

export async function open(browser: Browser, look: { readonly size?: SizeName; readonly theme?: ThemeName } = {}): Promise<Watched> {
  const { size = 'desktop', theme = 'light' } = look;
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: theme,
    deviceScaleFactor: size === 'phone' ? 2 : 1,
    hasTouch: size === 'phone',
    reducedMotion: 'reduce',
    locale: 'en-GB',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const troubles: string[] = [];
  const expected: RegExp[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => troubles.push(`exception: ${error.stack ?? error.message}`));
  page.on('requestfailed', (request) => {
    // The page itself gives up requests that a newer one has overtaken, and those of a page that was left.
    const why = request.failure()?.errorText ?? '';
    if (why !== 'net::ERR_ABORTED') troubles.push(`request: ${request.method()} ${request.url()}: ${why}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) troubles.push(`reply: ${response.status()} ${response.request().method()} ${response.url()}`);
  });
  return {
    context,
    page,
    troubles,
    expect: (pattern) => void expected.push(pattern),
    verify: () => {
      const unexpected = troubles.filter((trouble) => !expected.some((pattern) => pattern.test(trouble)));
      if (unexpected.length > 0) throw new Error(`the page had trouble:\n${unexpected.join('\n')}`);
    },
    close: () => context.close(),
  };
}

/** Keeps a picture of the page as it is. */
export async function picture(page: Page, name: string, whole = true): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`), fullPage: whole, animations: 'disabled' });
}
