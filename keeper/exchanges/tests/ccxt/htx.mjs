// ccxt has v5 only. What it lacks is asked for through its implicit calls, which still sign.
import ccxt from 'ccxt';

import { perpetual, run } from './harness.mjs';

const exchange = new ccxt.htx({ apiKey: 'test_api_key', secret: 'test_secret', options: { defaultType: 'swap' } });
// ccxt's authors are paid by a channel code on every order: switched off.
exchange.options.broker = {};
// The host is part of what is signed: the sheet's, not the mirror that ccxt calls.
exchange.urls.hostnames.contract = 'api.hbdm.com';

const SYMBOL = 'BTC/USDT:USDT';
const INSTRUMENT = 'BTC-USDT';
const markets = [perpetual({ id: INSTRUMENT, base: 'BTC', quote: 'USDT', step: 1, tick: 0.1, size: 0.001 })];
// Ours are base units, theirs contracts.
const order = (more) => ({ instrument: INSTRUMENT, side: 'buy', size: '0.002', ...more });
const legacy = (name, path, operation, parameters, body) => ({
  name: `legacy: ${name}`,
  generation: 'legacy',
  operation,
  parameters,
  theirs: (e) => e.request(`linear-swap-api/v1/${path}`, ['contract', 'private'], 'POST', body),
});

await run({
  venue: 'htx',
  exchange,
  markets,
  cases: [
    {
      name: 'market',
      operation: 'place_order',
      parameters: order({}),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'buy', 2),
    },
    {
      name: 'limit, own id',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000.5', client_order_id: '12345' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 2, 50000.5, { client_order_id: 12345 }),
    },
    {
      name: 'post-only',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'post_only' }),
      theirs: (e) => e.createOrder(SYMBOL, 'post_only', 'buy', 2, 50000),
    },
    {
      name: 'immediate or cancel',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'immediate_or_cancel' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 2, 50000, { timeInForce: 'IOC' }),
    },
    {
      name: 'fill or kill',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '50000', time_in_force: 'fill_or_kill' }),
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'buy', 2, 50000, { timeInForce: 'FOK' }),
    },
    {
      name: 'reduce-only, margin of its own',
      operation: 'place_order',
      parameters: order({ side: 'sell', reduce_only: true, margin_mode: 'isolated' }),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'sell', 2, undefined, { reduceOnly: true, marginMode: 'isolated' }),
    },
    {
      name: 'hedge: close the long position',
      operation: 'place_order',
      parameters: order({ side: 'sell', position_side: 'long', reduce_only: true }),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'sell', 2, undefined, { position_side: 'long' }),
    },
    {
      name: 'several',
      operation: 'place_orders',
      parameters: { orders: [order({ order_kind: 'limit', price: '50000' }), order({ side: 'sell' })] },
      theirs: (e) =>
        e.createOrders([
          { symbol: SYMBOL, type: 'limit', side: 'buy', amount: 2, price: 50000 },
          { symbol: SYMBOL, type: 'market', side: 'sell', amount: 2 },
        ]),
    },
    {
      name: 'cancel by the venue\'s id',
      operation: 'cancel_order',
      parameters: { instrument: INSTRUMENT, order_id: '123' },
      theirs: (e) => e.cancelOrder('123', SYMBOL),
    },
    {
      name: 'cancel by own id',
      operation: 'cancel_order',
      parameters: { instrument: INSTRUMENT, client_order_id: '77' },
      theirs: (e) => e.cancelOrder(undefined, SYMBOL, { client_order_id: '77' }),
    },
    {
      name: 'cancel several',
      operation: 'cancel_orders',
      parameters: { orders: [{ instrument: INSTRUMENT, order_id: '1' }, { instrument: INSTRUMENT, order_id: '2' }] },
      theirs: (e) => e.cancelOrders(['1', '2'], SYMBOL),
    },
    {
      name: 'cancel all',
      operation: 'cancel_all_orders',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.cancelAllOrders(SYMBOL),
    },
    {
      name: 'close',
      operation: 'close_position',
      parameters: { instrument: INSTRUMENT, client_order_id: '78' },
      theirs: (e) => e.closePosition(SYMBOL, undefined, { clientOrderId: '78' }),
    },
    {
      name: 'stop',
      operation: 'place_conditional_order',
      parameters: order({ side: 'sell', order_kind: 'stop_market', trigger_price: '45000', reduce_only: true }),
      theirs: (e) => e.createOrder(SYMBOL, 'market', 'sell', 2, undefined, { stopLossPrice: 45000 }),
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
      theirs: (e) => e.createOrder(SYMBOL, 'limit', 'sell', 2, 59900, { takeProfitPrice: 60000 }),
    },
    {
      name: 'cancel a stop',
      operation: 'cancel_conditional_order',
      parameters: { instrument: INSTRUMENT, order_id: '9' },
      theirs: (e) => e.cancelOrder('9', SYMBOL, { stopLoss: true }),
    },
    {
      name: 'leverage',
      operation: 'set_leverage',
      parameters: { instrument: INSTRUMENT, leverage: '5' },
      theirs: (e) => e.setLeverage(5, SYMBOL),
    },
    {
      name: 'hedge mode',
      operation: 'set_position_mode',
      parameters: { position_mode: 'hedge' },
      theirs: (e) => e.setPositionMode(true),
    },
    {
      name: 'one order',
      operation: 'order',
      parameters: { instrument: INSTRUMENT, order_id: '123' },
      theirs: (e) => e.fetchOrder('123', SYMBOL),
    },
    {
      name: 'open orders',
      operation: 'open_orders',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.fetchOpenOrders(SYMBOL),
    },
    {
      name: 'positions',
      operation: 'positions',
      theirs: (e) => e.fetchPositions(),
    },
    {
      name: 'balances',
      operation: 'balances',
      theirs: (e) => e.fetchBalance({ type: 'swap' }),
    },
    {
      name: 'fills',
      operation: 'fills',
      parameters: { instrument: INSTRUMENT, start_ms: 1699999000000, limit: 50 },
      theirs: (e) => e.fetchMyTrades(SYMBOL, 1699999000000, 50),
    },
    {
      name: 'funding',
      operation: 'funding',
      parameters: { instrument: INSTRUMENT },
      theirs: (e) => e.fetchFundingRate(SYMBOL),
    },
    legacy(
      'limit',
      'swap_cross_order',
      'place_order',
      order({ order_kind: 'limit', price: '50000', leverage: '5', client_order_id: '7' }),
      {
        contract_code: INSTRUMENT,
        client_order_id: 7,
        price: 50000,
        volume: 2,
        direction: 'buy',
        offset: 'both',
        lever_rate: 5,
        order_price_type: 'limit',
        reduce_only: 0,
      },
    ),
    legacy('cancel', 'swap_cross_cancel', 'cancel_order', { instrument: INSTRUMENT, order_id: '123' }, {
      order_id: '123',
      contract_code: INSTRUMENT,
    }),
    legacy('positions', 'swap_cross_position_info', 'positions', {}, {}),
    legacy('leverage', 'swap_cross_switch_lever_rate', 'set_leverage', { instrument: INSTRUMENT, leverage: '5' }, {
      contract_code: INSTRUMENT,
      lever_rate: 5,
    }),
  ],
});
