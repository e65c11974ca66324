// Bitget, both interfaces. ccxt's mark `X-CHANNEL-API-CODE`, a share of the fees for its authors, is left out of the
// comparison; it is not signed.
import ccxt from 'ccxt';
import { CREDENTIALS, perpetual, run } from './harness.mjs';

const S = 'BTC/USDT:USDT';
const I = 'BTCUSDT';
const BROKER = { 'X-CHANNEL-API-CODE': 'ccxt adds it for a share of the fees' };

function client(uta) {
  const exchange = new ccxt.bitget({
    apiKey: CREDENTIALS.key,
    secret: CREDENTIALS.secret,
    password: CREDENTIALS.passphrase,
    options: { uta, defaultType: 'swap' },
  });
  exchange.isUTAEnabled = async () => uta;
  return exchange;
}

const market = perpetual({ id: I, base: 'BTC', quote: 'USDT', step: 0.0001, tick: 0.1 });

const place = (name, parameters, type, side, price, params) => ({
  name,
  operation: 'place_order',
  parameters: { instrument: I, side, size: '1', client_order_id: 'abc', ...parameters },
  theirs: (ex) => ex.createOrder(S, type, side, 1, price, { clientOrderId: 'abc', ...params }),
});

// What is asked in the same way of both interfaces.
const both = [
  place('market order', {}, 'market', 'buy'),
  place('limit order', { order_kind: 'limit', price: '50000.5' }, 'limit', 'sell', 50000.5),
  place(
    'post-only order',
    { order_kind: 'limit', price: '50000', time_in_force: 'post_only' },
    'limit', 'buy', 50000, { postOnly: true },
  ),
  place(
    'immediate-or-cancel order',
    { order_kind: 'limit', price: '50000', time_in_force: 'immediate_or_cancel' },
    'limit', 'buy', 50000, { timeInForce: 'IOC' },
  ),
  place(
    'fill-or-kill order',
    { order_kind: 'limit', price: '50000', time_in_force: 'fill_or_kill' },
    'limit', 'buy', 50000, { timeInForce: 'FOK' },
  ),
  place('reduce-only order', { reduce_only: true }, 'market', 'sell', undefined, { reduceOnly: true }),
  place('order with margin of its own', { margin_mode: 'isolated' }, 'market', 'buy', undefined, { marginMode: 'isolated' }),
  place('open long in hedge mode', { position_side: 'long' }, 'market', 'buy', undefined, { hedged: true }),
  place(
    'open short in hedge mode',
    { position_side: 'short', order_kind: 'limit', price: '50000' },
    'limit', 'sell', 50000, { hedged: true },
  ),
  place('close long in hedge mode', { position_side: 'long', reduce_only: true }, 'market', 'sell', undefined, {
    hedged: true,
    reduceOnly: true,
  }),
  place('close short in hedge mode', { position_side: 'short', reduce_only: true }, 'market', 'buy', undefined, {
    hedged: true,
    reduceOnly: true,
  }),
  {
    name: 'several orders',
    operation: 'place_orders',
    parameters: {
      orders: [
        { instrument: I, side: 'buy', size: '1', order_kind: 'limit', price: '50000', client_order_id: 'abc' },
        { instrument: I, side: 'sell', size: '2', reduce_only: true, client_order_id: 'def' },
      ],
    },
    theirs: (ex) =>
      ex.createOrders([
        { symbol: S, type: 'limit', side: 'buy', amount: 1, price: 50000, params: { clientOrderId: 'abc' } },
        { symbol: S, type: 'market', side: 'sell', amount: 2, params: { clientOrderId: 'def', reduceOnly: true } },
      ]),
  },
  {
    name: 'cancel by the venue\'s id',
    operation: 'cancel_order',
    parameters: { instrument: I, order_id: '123' },
    theirs: (ex) => ex.cancelOrder('123', S),
  },
  {
    name: 'cancel by the owner\'s id',
    operation: 'cancel_order',
    parameters: { instrument: I, client_order_id: 'abc' },
    theirs: (ex) => ex.cancelOrder(undefined, S, { clientOrderId: 'abc' }),
  },
  {
    name: 'cancel several',
    operation: 'cancel_orders',
    parameters: { orders: [{ instrument: I, order_id: '1' }, { instrument: I, order_id: '2' }] },
    theirs: (ex) => ex.cancelOrders(['1', '2'], S),
  },
  {
    name: 'cancel all of an instrument',
    operation: 'cancel_all_orders',
    parameters: { instrument: I },
    theirs: (ex) => ex.cancelAllOrders(S),
  },
  {
    name: 'close a position',
    operation: 'close_position',
    parameters: { instrument: I },
    theirs: (ex) => ex.closePosition(S),
  },
  {
    name: 'close a position in hedge mode',
    operation: 'close_position',
    parameters: { instrument: I, position_side: 'long' },
    theirs: (ex) => ex.closePosition(S, 'long'),
  },
  {
    name: 'cancel a stop by the venue\'s id',
    operation: 'cancel_conditional_order',
    parameters: { instrument: I, order_id: '123' },
    theirs: (ex) => ex.cancelOrder('123', S, { trigger: true }),
  },
  {
    name: 'cancel a stop by the owner\'s id',
    operation: 'cancel_conditional_order',
    parameters: { instrument: I, client_order_id: 'abc' },
    theirs: (ex) => ex.cancelOrder(undefined, S, { trigger: true, clientOrderId: 'abc' }),
  },
  {
    name: 'set leverage',
    operation: 'set_leverage',
    parameters: { instrument: I, leverage: '5' },
    theirs: (ex) => ex.setLeverage(5, S),
  },
  {
    name: 'set position mode',
    operation: 'set_position_mode',
    parameters: { position_mode: 'hedge' },
    theirs: (ex) => ex.setPositionMode(true, S),
  },
  {
    name: 'set position mode back',
    operation: 'set_position_mode',
    parameters: { position_mode: 'one_way' },
    theirs: (ex) => ex.setPositionMode(false, S),
  },
  {
    name: 'an order',
    operation: 'order',
    parameters: { instrument: I, order_id: '123' },
    theirs: (ex) => ex.fetchOrder('123', S),
  },
  {
    name: 'an order by the owner\'s id',
    operation: 'order',
    parameters: { instrument: I, client_order_id: 'abc' },
    theirs: (ex) => ex.fetchOrder(undefined, S, { clientOid: 'abc' }),
  },
  {
    name: 'open orders of an instrument',
    operation: 'open_orders',
    parameters: { instrument: I },
    theirs: (ex) => ex.fetchOpenOrders(S),
  },
  { name: 'positions', operation: 'positions', theirs: (ex) => ex.fetchPositions() },
  {
    name: 'position of an instrument',
    operation: 'positions',
    parameters: { instrument: I },
    theirs: (ex) => ex.fetchPosition(S),
  },
  { name: 'balances', operation: 'balances', theirs: (ex) => ex.fetchBalance({ type: 'swap' }) },
  { name: 'server time', operation: 'server_time', theirs: (ex) => ex.fetchTime() },
  { name: 'ticker', operation: 'ticker', parameters: { instrument: I }, theirs: (ex) => ex.fetchTicker(S) },
  { name: 'book', operation: 'book', parameters: { instrument: I, depth: 20 }, theirs: (ex) => ex.fetchOrderBook(S, 20) },
  { name: 'trades', operation: 'trades', parameters: { instrument: I }, theirs: (ex) => ex.fetchTrades(S) },
  {
    name: 'klines',
    operation: 'klines',
    parameters: { instrument: I, interval: '1m' },
    theirs: (ex) => ex.fetchOHLCV(S, '1m'),
  },
  {
    name: 'old klines',
    operation: 'klines',
    parameters: { instrument: I, interval: '1h', start_ms: 1690000000000, limit: 50 },
    theirs: (ex) => ex.fetchOHLCV(S, '1h', 1690000000000, 50),
  },
  { name: 'funding rate', operation: 'funding', parameters: { instrument: I }, theirs: (ex) => ex.fetchFundingRate(S) },
];

const stop = (name, parameters, type, price, params, differs) => ({
  name,
  operation: 'place_conditional_order',
  parameters: { instrument: I, side: 'sell', size: '1', client_order_id: 'abc', ...parameters },
  theirs: (ex) => ex.createOrder(S, type, 'sell', 1, price, { clientOrderId: 'abc', ...params }),
  differs,
});

const partOfPosition = {
  headers: { 'ACCESS-SIGN': 'the bodies differ in the member named here' },
  body: {
    planType: 'ccxt sends pos_loss and pos_profit, which exist once per position and ignore the size: a second rung would replace the first',
  },
};

const classic = [
  {
    name: 'amend size and price',
    operation: 'amend_order',
    parameters: { instrument: I, order_id: '123', size: '2', price: '51000' },
    theirs: (ex) => ex.editOrder('123', S, 'limit', 'buy', 2, 51000),
    differs: {
      headers: { 'ACCESS-SIGN': 'the bodies differ in the member named here' },
      body: { newClientOid: 'ccxt makes it at random, we of the time' },
    },
  },
  {
    name: 'amend by the owner\'s id',
    operation: 'amend_order',
    parameters: { instrument: I, client_order_id: 'abc', size: '2' },
    theirs: (ex) => ex.editOrder(undefined, S, 'limit', 'buy', 2, undefined, { clientOrderId: 'abc' }),
    differs: {
      headers: { 'ACCESS-SIGN': 'the bodies differ in the member named here' },
      body: { newClientOid: 'ccxt makes it at random, we of the time' },
    },
  },
  stop(
    'stop at market',
    { reduce_only: true, order_kind: 'stop_market', trigger_price: '45000' },
    'market', undefined, { stopLossPrice: 45000, reduceOnly: true, triggerType: 'fill_price' }, partOfPosition,
  ),
  stop(
    'stop at a limit, by the mark price',
    { reduce_only: true, order_kind: 'stop_limit', trigger_price: '45000', price: '44900', trigger_by: 'mark' },
    'limit', 44900, { stopLossPrice: 45000, reduceOnly: true }, partOfPosition,
  ),
  stop(
    'take-profit at market',
    { reduce_only: true, order_kind: 'take_profit_market', trigger_price: '65000', trigger_by: 'mark' },
    'market', undefined, { takeProfitPrice: 65000, reduceOnly: true }, partOfPosition,
  ),
  stop(
    'stop in hedge mode',
    { reduce_only: true, order_kind: 'stop_market', trigger_price: '45000', trigger_by: 'mark', position_side: 'long' },
    'market', undefined, { stopLossPrice: 45000, reduceOnly: true, holdSide: 'long' }, partOfPosition,
  ),
  stop(
    'order with a trigger',
    { order_kind: 'stop_limit', trigger_price: '45000', price: '44900', trigger_by: 'mark' },
    'limit', 44900, { triggerPrice: '45000' },
  ),
  stop(
    'order with a trigger in hedge mode',
    { order_kind: 'stop_market', trigger_price: '45000', trigger_by: 'mark', position_side: 'short' },
    'market', undefined, { triggerPrice: '45000', hedged: true },
  ),
  {
    name: 'set leverage in hedge mode',
    operation: 'set_leverage',
    parameters: { instrument: I, leverage: '5', margin_mode: 'isolated', position_side: 'long' },
    theirs: (ex) => ex.setLeverage(5, S, { holdSide: 'long' }),
  },
  {
    name: 'set margin mode',
    operation: 'set_margin_mode',
    parameters: { instrument: I, margin_mode: 'isolated' },
    theirs: (ex) => ex.setMarginMode('isolated', S),
  },
  {
    name: 'leverage',
    operation: 'leverage',
    parameters: { instrument: I },
    theirs: (ex) => ex.fetchLeverage(S),
  },
  {
    name: 'fills',
    operation: 'fills',
    parameters: { instrument: I, start_ms: 1690000000000, limit: 50 },
    theirs: (ex) => ex.fetchMyTrades(S, 1690000000000, 50),
  },
  { name: 'mark price', operation: 'mark', parameters: { instrument: I }, theirs: (ex) => ex.fetchMarkPrice(S) },
];

const unified = [
  {
    name: 'amend size and price',
    operation: 'amend_order',
    parameters: { instrument: I, order_id: '123', size: '2', price: '51000' },
    theirs: (ex) => ex.editOrder('123', S, 'limit', 'buy', 2, 51000),
  },
  {
    name: 'amend by the owner\'s id',
    operation: 'amend_order',
    parameters: { instrument: I, client_order_id: 'abc', size: '2' },
    theirs: (ex) => ex.editOrder(undefined, S, 'limit', 'buy', 2, undefined, { clientOrderId: 'abc' }),
  },
  stop(
    'stop at market',
    { reduce_only: true, order_kind: 'stop_market', trigger_price: '45000', trigger_by: 'mark' },
    'market', undefined, { stopLossPrice: 45000, reduceOnly: true },
  ),
  stop(
    'stop at a limit',
    { reduce_only: true, order_kind: 'stop_limit', trigger_price: '45000', price: '44900', trigger_by: 'mark' },
    'limit', 44900, { stopLossPrice: 45000, reduceOnly: true },
  ),
  stop(
    'take-profit in hedge mode',
    { reduce_only: true, order_kind: 'take_profit_market', trigger_price: '65000', trigger_by: 'mark', position_side: 'long' },
    'market', undefined, { takeProfitPrice: 65000, reduceOnly: true },
  ),
  {
    name: 'fills',
    operation: 'fills',
    parameters: { instrument: I, start_ms: 1690000000000, limit: 50 },
    theirs: (ex) => ex.fetchMyTrades(S, 1690000000000, 50, { category: 'USDT-FUTURES' }),
  },
];

const withoutMark = (one) => ({
  ...one,
  differs: { ...one.differs, headers: { ...BROKER, ...one.differs?.headers } },
});

await run({
  venue: 'bitget',
  exchange: client(false),
  markets: [market],
  cases: [...both, ...classic].map(withoutMark),
});
await run({
  venue: 'bitget',
  generation: 'next',
  exchange: client(true),
  markets: [market],
  cases: [...both, ...unified].map((one) => withoutMark({ ...one, name: `unified account: ${one.name}` })),
});
