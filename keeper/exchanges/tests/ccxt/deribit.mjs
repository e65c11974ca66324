import ccxt from 'ccxt';

import { perpetual, run } from './harness.mjs';

const exchange = new ccxt.deribit({ apiKey: 'test_api_key', secret: 'test_secret' });

const SYMBOL = 'BTC/USDC:USDC';
const markets = [
  perpetual({ id: 'BTC_USDC-PERPETUAL', base: 'BTC', quote: 'USDC', step: 0.0001, tick: 0.5 }),
  perpetual({ id: 'BTC-PERPETUAL', base: 'BTC', quote: 'USD', settle: 'BTC', step: 10, tick: 0.5, linear: false }),
];
const INSTRUMENT = 'BTC_USDC-PERPETUAL';
const order = (more) => ({ instrument: INSTRUMENT, side: 'buy', size: '0.01', ...more });

await run({
  venue: 'deribit',
  exchange,
  markets,
  cases: [
    {
      name: 'market',
      operation: 'place_order',
      parameters: order({}),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'buy', 0.01),
    },
    {
      name: 'limit, own id',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000.5', client_order_id: 'mine-1' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 0.01, 50000.5, { label: 'mine-1' }),
    },
    {
      name: 'inverse limit: our base units are their dollars',
      operation: 'place_order',
      parameters: { instrument: 'BTC-PERPETUAL', side: 'sell', size: '0.01', order_kind: 'limit', price: '50000' },
      theirs: (e) => e.createOrder('BTC/USD:BTC', 'limit', 'sell', 500, 50000),
    },
    {
      name: 'post-only',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'post_only' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 0.01, 50000, { postOnly: true }),
    },
    {
      name: 'immediate or cancel',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'immediate_or_cancel' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 0.01, 50000, { timeInForce: 'IOC' }),
    },
    {
      name: 'fill or kill',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'fill_or_kill' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 0.01, 50000, { timeInForce: 'FOK' }),
    },
    {
      name: 'reduce-only',
      operation: 'place_order',
      parameters: order({ side: 'sell', reduce_only: true }),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'sell', 0.01, undefined, { reduceOnly: true }),
    },
    {
      name: 'amend',
      operation: 'amend_order',
      parameters: { instrument: INSTRUMENT, order_id: 'USDC-1', size: '0.02', price: '51000' },
      theirs: (e) => e.editOrder('USDC-1', SYMBOL, 'limit', 'buy', 0.02, 51000),
    },
    {
      name: 'cancel by the venue\'s id',
      operation: 'cancel_order',
      parameters: { instrument: INSTRUMENT, order_id: 'USDC-1' },
      theirs: (e) => e.cancelOrder('USDC-1', SYMBOL),
    },
    {
      name: 'cancel by own id',
      operation: 'cancel_order',
      parameters: { instrument: INSTRUMENT, client_order_id: 'mine-1' },
      theirs: (e) => e.privateGetCancelByLabel({ label: 'mine-1', currency: 'USDC' }),
    },
    {
      name: 'cancel all',
      operation: 'cancel_all_orders',
      theirs: (e) => e.cancelAllOrders(),
    },
    {
      name: 'cancel all of one instrument',
      operation: 'cancel_all_orders',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.cancelAllOrders(SYMBOL),
    },
    {
      name: 'close',
      operation: 'close_position',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.privateGetClosePosition({ instrument_name: INSTRUMENT, type: 'market' }),
    },
    {
      name: 'stop',
      operation: 'place_conditional_order',
      parameters: order({
        side: 'sell',
        order_kind: 'stop_market',
        trigger_price: '45000',
        trigger_by: 'mark',
        reduce_only: true,
      }),
      theirs: (e) =>
        e.createOrder(SYMBOL, 'market', 'sell', 0.01, undefined, {
          stopLossPrice: 45000,
          trigger: 'mark_price',
          reduceOnly: true,
        }),
    },
    {
      name: 'take profit at a limit',
      operation: 'place_conditional_order',
      parameters: order({
        side: 'sell',
        order_kind: 'take_profit_limit',
        trigger_price: '60000',
        price: '59900',
        reduce_only: true,
      }),
      theirs: (e) =>
        e.createOrder(SYMBOL, 'limit', 'sell', 0.01, 59900, { takeProfitPrice: 60000, reduceOnly: true }),
    },
    {
      name: 'one order',
      operation: 'order',
      parameters: { instrument: INSTRUMENT, order_id: 'USDC-1' },
      theirs: (e) => e.fetchOrder('USDC-1', SYMBOL),
    },
    {
      name: 'open orders of one instrument',
      operation: 'open_orders',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.fetchOpenOrders(SYMBOL),
    },
    {
      // ccxt asks currency by currency; the venue takes one request for all.
      name: 'open orders',
      operation: 'open_orders',
      theirs: (e) => e.privateGetGetOpenOrders({ kind: 'future' }),
    },
    {
      name: 'position',
      operation: 'positions',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.fetchPosition(SYMBOL),
    },
    {
      name: 'positions',
      operation: 'positions',
      theirs: (e) => e.privateGetGetPositions({ currency: 'any', kind: 'future' }),
    },
    {
      name: 'balances',
      operation: 'balances',
      theirs: (e) => e.fetchBalance(),
    },
    {
      name: 'fills',
      operation: 'fills',
      parameters: { instrument: INSTRUMENT, limit: 50 },
      theirs: (e) => e.fetchMyTrades(SYMBOL, undefined, 50),
    },
    {
      name: 'fills since',
      operation: 'fills',
      parameters: { instrument: INSTRUMENT, start_ms: 1699999000000 },
      theirs: (e) => e.fetchMyTrades(SYMBOL, 1699999000000),
    },
    {
      name: 'book',
      operation: 'book',
      parameters: { instrument: INSTRUMENT, depth: 20 },
      theirs: (e) => e.fetchOrderBook(SYMBOL, 20),
    },
    {
      name: 'ticker',
      operation: 'ticker',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.fetchTicker(SYMBOL),
    },
    {
      name: 'klines',
      operation: 'klines',
      parameters: { instrument: INSTRUMENT, interval: '1h', limit: 10 },
      theirs: (e) => e.fetchOHLCV(SYMBOL, '1h', undefined, 10),
    },
  ],
});
