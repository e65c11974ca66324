// OKX. ccxt's ids of its own: `clOrdId` and `tag` are added only to orders without an owner's id, so that all orders here
// have one; orders with a trigger have theirs in `algoClOrdId`, and ccxt's two are left out of the comparison.
import ccxt from 'ccxt';
import { CREDENTIALS, perpetual, run } from './harness.mjs';

const S = 'BTC/USDT:USDT';
const I = 'BTC-USDT-SWAP';

const exchange = new ccxt.okx({
  apiKey: CREDENTIALS.key,
  secret: CREDENTIALS.secret,
  password: CREDENTIALS.passphrase,
  // The request the fact sheet names for one order; ccxt's own choice is a list of one.
  options: { createOrder: 'privatePostTradeOrder' },
});

const market = perpetual({
  id: I,
  base: 'BTC',
  quote: 'USDT',
  step: 0.01,
  tick: 0.1,
  size: 0.01,
  info: { instType: 'SWAP', instIdCode: 10459 },
});

// ccxt counts in contracts of 0.01 bitcoin, we in bitcoin.
const place = (name, parameters, type, side, amount, price, params) => ({
  name,
  operation: 'place_order',
  parameters: { instrument: I, side, client_order_id: 'abc', ...parameters },
  theirs: (ex) => ex.createOrder(S, type, side, amount, price, { clientOrderId: 'abc', ...params }),
});

const algo = {
  headers: { 'OK-ACCESS-SIGN': 'the bodies differ in the members named here' },
  body: {
    clOrdId: 'ccxt adds its own id: an order with a trigger has its id in algoClOrdId (OKX docs)',
    tag: 'ccxt adds its own mark',
  },
};

const conditional = (name, parameters, type, price, params) => ({
  name,
  operation: 'place_conditional_order',
  parameters: {
    instrument: I,
    side: 'sell',
    size: '0.01',
    reduce_only: true,
    client_order_id: 'abc',
    ...parameters,
  },
  theirs: (ex) =>
    ex.createOrder(S, type, 'sell', 1, price, { reduceOnly: true, algoClOrdId: 'abc', ...params }),
  differs: algo,
});

await run({
  venue: 'okx',
  exchange,
  markets: [market],
  cases: [
    place('market order', { size: '0.01' }, 'market', 'buy', 1),
    place('limit order', { size: '0.015', order_kind: 'limit', price: '50000.5' }, 'limit', 'sell', 1.5, 50000.5),
    place(
      'post-only order',
      { size: '0.01', order_kind: 'limit', price: '50000', time_in_force: 'post_only' },
      'limit', 'buy', 1, 50000, { postOnly: true },
    ),
    place(
      'immediate-or-cancel order',
      { size: '0.01', order_kind: 'limit', price: '50000', time_in_force: 'immediate_or_cancel' },
      'limit', 'buy', 1, 50000, { timeInForce: 'IOC' },
    ),
    place(
      'fill-or-kill order',
      { size: '0.01', order_kind: 'limit', price: '50000', time_in_force: 'fill_or_kill' },
      'limit', 'buy', 1, 50000, { timeInForce: 'FOK' },
    ),
    place('reduce-only order', { size: '0.01', reduce_only: true }, 'market', 'sell', 1, undefined, { reduceOnly: true }),
    place('order with margin of its own', { size: '0.01', margin_mode: 'isolated' }, 'market', 'buy', 1, undefined, {
      marginMode: 'isolated',
    }),
    place('open long in hedge mode', { size: '0.01', position_side: 'long' }, 'market', 'buy', 1, undefined, { hedged: true }),
    place('open short in hedge mode', { size: '0.01', position_side: 'short' }, 'market', 'sell', 1, undefined, { hedged: true }),
    place(
      'close long in hedge mode',
      { size: '0.01', position_side: 'long', reduce_only: true },
      'market', 'sell', 1, undefined, { hedged: true, reduceOnly: true },
    ),
    place(
      'close short in hedge mode',
      { size: '0.01', position_side: 'short', reduce_only: true, order_kind: 'limit', price: '40000' },
      'limit', 'buy', 1, 40000, { hedged: true, reduceOnly: true },
    ),
    {
      name: 'several orders',
      operation: 'place_orders',
      parameters: {
        orders: [
          { instrument: I, side: 'buy', size: '0.01', order_kind: 'limit', price: '50000', client_order_id: 'abc' },
          { instrument: I, side: 'sell', size: '0.02', reduce_only: true, client_order_id: 'def' },
        ],
      },
      theirs: (ex) =>
        ex.createOrders([
          { symbol: S, type: 'limit', side: 'buy', amount: 1, price: 50000, params: { clientOrderId: 'abc' } },
          { symbol: S, type: 'market', side: 'sell', amount: 2, params: { clientOrderId: 'def', reduceOnly: true } },
        ]),
    },
    {
      name: 'amend size and price',
      operation: 'amend_order',
      parameters: { instrument: I, order_id: '123', size: '0.02', price: '51000' },
      theirs: (ex) => ex.editOrder('123', S, 'limit', 'buy', 2, 51000),
    },
    {
      name: 'amend by the owner\'s id',
      operation: 'amend_order',
      parameters: { instrument: I, client_order_id: 'abc', size: '0.02' },
      theirs: (ex) => ex.editOrder(undefined, S, 'limit', 'buy', 2, undefined, { clOrdId: 'abc' }),
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
      name: 'cancel several by both ids',
      operation: 'cancel_orders',
      parameters: { orders: [{ instrument: I, order_id: '1' }, { instrument: I, client_order_id: 'b' }] },
      theirs: (ex) => ex.cancelOrdersForSymbols([{ id: '1', symbol: S }, { clientOrderId: 'b', symbol: S }]),
    },
    // ccxt has no cancelAllOrders for OKX, and neither do we: OKX has no such request.
    {
      name: 'dead man\'s switch',
      operation: 'cancel_all_after',
      parameters: { after_ms: 30000 },
      theirs: (ex) => ex.cancelAllOrdersAfter(30000),
    },
    {
      name: 'close a position',
      operation: 'close_position',
      parameters: { instrument: I },
      theirs: (ex) => ex.closePosition(S, undefined, { marginMode: 'cross' }),
    },
    {
      name: 'close a position in hedge mode',
      operation: 'close_position',
      parameters: { instrument: I, position_side: 'long', margin_mode: 'isolated' },
      theirs: (ex) => ex.closePosition(S, 'long', { marginMode: 'isolated' }),
    },
    conditional('stop at market', { order_kind: 'stop_market', trigger_price: '45000' }, 'market', undefined, {
      stopLossPrice: 45000,
    }),
    conditional('stop at a limit', { order_kind: 'stop_limit', trigger_price: '45000', price: '44900' }, 'limit', 44900, {
      stopLossPrice: 45000,
    }),
    conditional('take-profit at market', { order_kind: 'take_profit_market', trigger_price: '65000' }, 'market', undefined, {
      takeProfitPrice: 65000,
    }),
    conditional(
      'stop by the mark price',
      { order_kind: 'stop_market', trigger_price: '45000', trigger_by: 'mark' },
      'market', undefined, { stopLossPrice: 45000, slTriggerPxType: 'mark' },
    ),
    {
      ...conditional(
        'stop in hedge mode',
        { order_kind: 'stop_market', trigger_price: '45000', position_side: 'long' },
        'market', undefined, { stopLossPrice: 45000, hedged: true },
      ),
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
      theirs: (ex) => ex.setLeverage('5', S, { mgnMode: 'cross' }),
    },
    {
      name: 'set leverage in hedge mode',
      operation: 'set_leverage',
      parameters: { instrument: I, leverage: '5', margin_mode: 'isolated', position_side: 'long' },
      theirs: (ex) => ex.setLeverage('5', S, { mgnMode: 'isolated', posSide: 'long' }),
    },
    {
      name: 'set margin mode',
      operation: 'set_margin_mode',
      parameters: { instrument: I, margin_mode: 'isolated', leverage: '5' },
      theirs: (ex) => ex.setMarginMode('isolated', S, { lever: 5 }),
      differs: {
        headers: { 'OK-ACCESS-SIGN': 'the bodies differ in the member named here' },
        body: { lever: 'ccxt sends a number here and a text with set-leverage; OKX documents a text' },
      },
    },
    {
      name: 'set leverage with margin of its own',
      operation: 'set_leverage',
      parameters: { instrument: I, leverage: '5', margin_mode: 'isolated' },
      theirs: (ex) => ex.setLeverage('5', S, { mgnMode: 'isolated' }),
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
      name: 'account mode',
      operation: 'account_mode',
      theirs: (ex) => ex.fetchPositionMode(S),
    },
    {
      name: 'leverage',
      operation: 'leverage',
      parameters: { instrument: I },
      theirs: (ex) => ex.fetchLeverage(S, { marginMode: 'cross' }),
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
      theirs: (ex) => ex.fetchOrder(undefined, S, { clientOrderId: 'abc' }),
    },
    {
      name: 'open orders of an instrument',
      operation: 'open_orders',
      parameters: { instrument: I },
      theirs: (ex) => ex.fetchOpenOrders(S),
    },
    {
      name: 'open orders',
      operation: 'open_orders',
      theirs: (ex) => ex.fetchOpenOrders(undefined, undefined, undefined, { instType: 'SWAP' }),
    },
    {
      name: 'positions',
      operation: 'positions',
      theirs: (ex) => ex.fetchPositions(undefined, { instType: 'SWAP' }),
    },
    {
      name: 'position of an instrument',
      operation: 'positions',
      parameters: { instrument: I },
      theirs: (ex) => ex.fetchPosition(S),
    },
    { name: 'balances', operation: 'balances', theirs: (ex) => ex.fetchBalance() },
    {
      name: 'fills of more than three days ago',
      operation: 'fills',
      parameters: { instrument: I, start_ms: 1690000000000 },
      theirs: (ex) => ex.fetchMyTrades(S, 1690000000000),
    },
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
    { name: 'mark price', operation: 'mark', parameters: { instrument: I }, theirs: (ex) => ex.fetchMarkPrice(S) },
    { name: 'funding rate', operation: 'funding', parameters: { instrument: I }, theirs: (ex) => ex.fetchFundingRate(S) },
  ],
});
