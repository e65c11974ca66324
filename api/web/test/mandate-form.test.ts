import { describe, expect, test } from 'vitest';
import { boundsFor, checkDraft, draftOf, newDraft, toMandate, type Context, type Draft } from '../src/chain/mandate-form';
import { checkRegistration, type Registration } from '../src/chain/register-form';

const terms: Context['terms'] = {
  copyFeeBps: 5,
  performanceFeeBps: 1000,
  maxLeverageBps: 30_000,
  maxSlippageBps: 100,
  deadBandBps: 100,
  minTradeNotional: '10.000000',
  maxOpenNotional: '1000000.000000',
  disclosureDelaySeconds: 0,
};
const markets = ['ETH-USD', 'BTC-USD'];
const context: Context = { terms, markets, balance: 5_000_000_000n, equity: undefined };
const draft = newDraft({ terms, markets }, '1000');
const check = (change: Partial<Draft>, other: Partial<Context> = {}): ReturnType<typeof checkDraft> => checkDraft({ ...draft, ...change }, { ...context, ...other });

describe('a new mandate', () => {
  test('starts with bounds that can be signed as they are', () => {
    const { problems, numbers, preview } = check({});
    expect(problems).toEqual({});
    expect(numbers).toMatchObject({ deposit: 1_000_000_000n, ratioBps: 10_000, maxLeverageBps: 20_000, maxSlippageBps: 50, stopLossBps: 2500, takeProfitBps: 0, days: 90 });
    expect(preview?.largestExposure).toBe(preview?.wantedExposure);
  });

  test('says in money what the bounds come to', () => {
    const { preview } = check({ maxSlippage: '0.5', maxTurnover: '8000' });
    // 0.5 % of 8,000 USDC
    expect(preview?.worstFillLoss).toBe(40_000_000n);
    expect(preview?.mostFees).toBe(4_000_000n);
    expect(preview?.largestExposure).toBe(2_000_000_000n);
    expect(preview?.stopAt).toBe(750_000_000n);
  });

  test('rounds the worst case up and the room down', () => {
    const { preview } = check({ maxSlippage: '0.01', maxTurnover: '8001.99' });
    // The vault stores whole USDC: 8,001 × 0.0001 = 0.8001
    expect(preview?.worstFillLoss).toBe(800_100n);
  });

  test('leaves room to close: opening needs twice its size of the day’s turnover', () => {
    const { preview } = check({ maxTurnover: '1000' });
    expect(preview?.wantedExposure).toBe(2_000_000_000n);
    expect(preview?.largestExposure).toBe(500_000_000n);
    expect(check({ maxTurnover: '19' }).problems.maxTurnover).toContain('room to close');
  });

  test.each([
    ['deposit', '9.99'],
    ['deposit', '5000.000001'],
    ['ratio', '0'],
    ['ratio', '10.0001'],
    ['maxLeverage', '3.0001'],
    ['maxLeverage', '0.0099'],
    ['maxSlippage', '100.01'],
    ['maxSlippage', '0'],
    ['maxPosition', '0.99'],
    ['maxPosition', '9'],
    ['maxPosition', '4294967296'],
    ['stopLoss', '100'],
    ['days', '0'],
    ['days', '1.5'],
  ] as const)('refuses %s = %s', (field, value) => {
    const { problems, numbers } = check({ [field]: value });
    expect(problems[field]).toBeDefined();
    expect(numbers).toBeUndefined();
  });

  test('needs a market and, for a fixed size, a size', () => {
    expect(check({ markets: [] }).problems.markets).toBeDefined();
    expect(check({ mode: 'fixed', fixedNotional: '' }).problems.fixedNotional).toBeDefined();
    expect(check({ mode: 'fixed', fixedNotional: '250' }).numbers).toMatchObject({ ratioBps: 0, fixedNotional: 250_000_000n });
  });

  test('reads raw integers into the struct that is signed', () => {
    const { numbers } = check({ takeProfit: '150' });
    if (numbers === undefined) throw new Error('not valid');
    const mandate = toMandate(draft, numbers, { follower: '0x00000000000000000000000000000000000f0110', vault: '0x0000000000000000000000000000000000057a7e', nonce: 7n, nowSeconds: 1000n });
    expect(mandate).toMatchObject({ mode: 0, hedgeBps: 0, takeProfitBps: 15_000, deposit: 1_000_000_000n, expiry: 1000n + 90n * 86_400n, allowedMarkets: markets });
  });
});

describe('an account that exists', () => {
  test('may change its bounds without a deposit', () => {
    expect(check({ deposit: '0' }).problems.deposit).toBeDefined();
    expect(check({ deposit: '0' }, { equity: 900_000_000n }).numbers).toMatchObject({ deposit: 0n });
  });
  test('counts what is in it', () => {
    expect(check({ deposit: '0', maxPosition: '100000', maxTurnover: '1000000' }, { equity: 900_000_000n }).preview?.wantedExposure).toBe(1_800_000_000n);
  });
  test('starts from the bounds in force', () => {
    const now = Date.UTC(2026, 0, 1);
    const back = draftOf(
      {
        hash: '0x00',
        mode: 'pro-rata',
        ratioBps: 5000,
        fixedNotional: '0.000000',
        hedgeBps: 0,
        maxLeverageBps: 25_000,
        maxSlippageBps: 30,
        maxPositionNotional: '2500.000000',
        maxDailyTurnover: '10000.000000',
        stopLossBps: 0,
        takeProfitBps: 5000,
        allowedMarkets: ['ETH-USD'],
        expiresAt: new Date(now + 30 * 86_400_000).toISOString(),
        acceptedAt: new Date(now).toISOString(),
      },
      now,
    );
    expect(back).toEqual({ deposit: '0', mode: 'pro-rata', ratio: '0.5', fixedNotional: '', maxLeverage: '2.5', maxSlippage: '0.3', maxPosition: '2500', maxTurnover: '10000', stopLoss: '', takeProfit: '50', markets: ['ETH-USD'], days: '30' });
  });
});

test('bounds that follow the deposit round to whole USDC, up', () => {
  expect(boundsFor(1_000_500_000n, '1.5')).toEqual({ maxPosition: '1501', maxTurnover: '6004' });
  expect(boundsFor(0n, 'x')).toEqual({ maxPosition: '0', maxTurnover: '0' });
});

describe('a registration', () => {
  const form: Registration = { name: 'North Sea Trend', proof: 'venue', source: '0x1', markets, copyFee: '0.05', performanceFee: '10', maxLeverage: '3', maxSlippage: '1', deadBand: '1', minTrade: '10', capacity: '1000000', disclosureDelay: '0' };
  const isAddress = (text: string): boolean => text.startsWith('0x');
  test('becomes the registry’s integers', () => {
    expect(checkRegistration(form, isAddress)).toEqual({
      problems: {},
      terms: { copyFeeBps: 5, performanceFeeBps: 1000, maxLeverageBps: 30_000, maxSlippageBps: 100, deadBandBps: 100, minTradeNotional: 10_000_000n, maxOpenNotional: 1_000_000_000_000n, disclosureDelay: 0 },
    });
  });
  test.each([
    ['name', ''],
    ['name', 'é'.repeat(33)],
    ['source', 'me'],
    ['copyFee', '1.01'],
    ['performanceFee', '4.99'],
    ['performanceFee', '15.01'],
    ['maxLeverage', '0.0999'],
    ['maxSlippage', '0'],
    ['maxSlippage', '10.01'],
    ['deadBand', '20.01'],
    ['minTrade', '0.5'],
    ['minTrade', '10001'],
    ['capacity', '0'],
    ['disclosureDelay', '86401'],
  ] as const)('refuses %s = %s', (field, value) => {
    const { problems, terms: checked } = checkRegistration({ ...form, [field]: value }, isAddress);
    expect(problems[field]).toBeDefined();
    expect(checked).toBeUndefined();
  });
});
