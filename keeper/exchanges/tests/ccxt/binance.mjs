// Binance USDⓈ-M futures. ccxt gives every order without an id one that begins with its broker code `x-xcKtGhcu`: every
// order here has an id of its own. Its warning about open orders without a symbol is switched off.
import ccxt from 'ccxt';
import { perpetual, run, CREDENTIALS } from './harness.mjs';

const exchange = new ccxt.binance({
  apiKey: CREDENTIALS.key,
  secret: CREDENTIALS.secret,
  options: { defaultType: 'swap', fetchOpenOrders: { warnWithoutSymbol: false }, warnOnFetchOpenOrdersWithoutSymbol: false },
});
// Asked for beside positions; not a part of what is compared.
exchange.loadLeverageBrackets = async () => ({});

const info = {
  orderTypes: ['LIMIT', 'MARKET', 'STOP', 'STOP_MARKET', 'TAKE_PROFIT', 'TAKE_PROFIT_MARKET', 'TRAILING_STOP_MARKET'],
};
const markets = [
  perpetual({ id: 'BTCUSDT', base: 'BTC', quote: 'USDT', step: 0.001, tick: 0.1, info }),
  perpetual({ id: 'ETHUSDT', base: 'ETH', quote: 'USDT', step: 0.001, tick: 0.01, info }),
];

const BTC = 'BTC/USDT:USDT';
const instrument = 'BTCUSDT';
const order = (more) => ({ instrument, side: 'buy', size: '0.002', client_order_id: 'mine-1', ...more });
const id = { clientOrderId: 'mine-1' };

const place = (name, parameters, type, side, price, params = {}) => ({
  name,
  operation: 'place_order',
  parameters: order({ side, order_kind: type, price: price && String(price), ...parameters }),
  theirs: (e) => e.createOrder(BTC, type, side, 0.002, price, { ...id, ...params }),
});

const conditional = (name, parameters, type, side, price, params) => ({
  name,
  operation: 'place_conditional_order',
  parameters: order({ side, price: price && String(price), ...parameters }),
  theirs: (e) => e.createOrder(BTC, type, side, 0.002, price, { ...id, ...params }),
});

const cases = [
  place('market', {}, 'market', 'buy'),
  place('market, more digits than the lot has', { size: '0.0029' }, 'market', 'buy'),
  place('limit', {}, 'limit', 'sell', 50000.1),
  place('limit, good til cancelled', { time_in_force: 'good_til_cancelled' }, 'limit', 'buy', 50000, { timeInForce: 'GTC' }),
  place('post only', { time_in_force: 'post_only' }, 'limit', 'buy', 50000.1, { postOnly: true }),
  place('immediate or cancel', { time_in_force: 'immediate_or_cancel' }, 'limit', 'buy', 50000.1, { timeInForce: 'IOC' }),
  place('fill or kill', { time_in_force: 'fill_or_kill' }, 'limit', 'buy', 50000.1, { timeInForce: 'FOK' }),
  place('reduce only', { reduce_only: true }, 'market', 'sell', undefined, { reduceOnly: true }),
  place('reduce only limit', { reduce_only: true }, 'limit', 'sell', 50000, { reduceOnly: true }),
  place('hedge, open long', { position_side: 'long' }, 'market', 'buy', undefined, { hedged: true }),
  place('hedge, open short', { position_side: 'short' }, 'market', 'sell', undefined, { hedged: true }),
  place('hedge, reduce long', { position_side: 'long', reduce_only: true }, 'market', 'sell', undefined, {
    hedged: true,
    reduceOnly: true,
  }),
  place('hedge, reduce short at a limit', { position_side: 'short', reduce_only: true }, 'limit', 'buy', 50000, {
    hedged: true,
    reduceOnly: true,
  }),
  {
    name: 'batch',
    operation: 'place_orders',
    parameters: {
      orders: [
        order({ order_kind: 'limit', price: '50000', client_order_id: 'a' }),
        order({ side: 'sell', size: '0.003', reduce_only: true, client_order_id: 'b' }),
      ],
    },
    theirs: (e) =>
      e.createOrders([
        { symbol: BTC, type: 'limit', side: 'buy', amount: 0.002, price: 50000, params: { clientOrderId: 'a' } },
        { symbol: BTC, type: 'market', side: 'sell', amount: 0.003, params: { reduceOnly: true, clientOrderId: 'b' } },
      ]),
  },
  {
    name: 'amend',
    operation: 'amend_order',
    parameters: { instrument, order_id: '123', side: 'buy', size: '0.003', price: '50001' },
    theirs: (e) => e.editOrder('123', BTC, 'limit', 'buy', 0.003, 50001),
  },
  {
    name: 'amend by client id',
    operation: 'amend_order',
    parameters: { instrument, client_order_id: 'mine-1', side: 'buy', size: '0.003', price: '50001' },
    theirs: (e) => e.editOrder(undefined, BTC, 'limit', 'buy', 0.003, 50001, { origClientOrderId: 'mine-1' }),
  },
  {
    name: 'cancel',
    operation: 'cancel_order',
    parameters: { instrument, order_id: '123' },
    theirs: (e) => e.cancelOrder('123', BTC),
  },
  {
    name: 'cancel by client id',
    operation: 'cancel_order',
    parameters: { instrument, client_order_id: 'mine-1' },
    theirs: (e) => e.cancelOrder(undefined, BTC, id),
  },
  {
    name: 'cancel several',
    operation: 'cancel_orders',
    parameters: { orders: [{ instrument, order_id: '1' }, { instrument, order_id: '2' }] },
    theirs: (e) => e.cancelOrders(['1', '2'], BTC),
  },
  {
    name: 'cancel several by client id',
    operation: 'cancel_orders',
    parameters: { orders: [{ instrument, client_order_id: 'a' }, { instrument, client_order_id: 'b' }] },
    theirs: (e) => e.cancelOrders([], BTC, { clientOrderIds: ['a', 'b'] }),
  },
  {
    name: 'cancel all',
    operation: 'cancel_all_orders',
    parameters: { instrument },
    theirs: (e) => e.cancelAllOrders(BTC),
  },
  {
    name: 'close a long position',
    operation: 'close_position',
    parameters: { instrument, size: '0.002', client_order_id: 'mine-1' },
    theirs: (e) => e.createOrder(BTC, 'market', 'sell', 0.002, undefined, { ...id, reduceOnly: true }),
  },
  {
    name: 'close a short position in hedge mode',
    operation: 'close_position',
    parameters: { instrument, size: '-0.002', position_side: 'short', client_order_id: 'mine-1' },
    theirs: (e) => e.createOrder(BTC, 'market', 'buy', 0.002, undefined, { ...id, hedged: true, reduceOnly: true }),
  },
  conditional('stop', { order_kind: 'stop_market', trigger_price: '40000', reduce_only: true }, 'market', 'sell', undefined, {
    stopLossPrice: 40000,
    reduceOnly: true,
  }),
  conditional(
    'stop by mark price',
    { order_kind: 'stop_market', trigger_price: '40000', trigger_by: 'mark', reduce_only: true },
    'market',
    'sell',
    undefined,
    { stopLossPrice: 40000, reduceOnly: true, workingType: 'MARK_PRICE' },
  ),
  conditional('stop limit', { order_kind: 'stop_limit', trigger_price: '40000', reduce_only: true }, 'limit', 'sell', 39990, {
    stopLossPrice: 40000,
    reduceOnly: true,
  }),
  conditional(
    'take profit',
    { order_kind: 'take_profit_market', trigger_price: '60000', reduce_only: true },
    'market',
    'sell',
    undefined,
    { takeProfitPrice: 60000, reduceOnly: true },
  ),
  conditional(
    'take profit limit',
    { order_kind: 'take_profit_limit', trigger_price: '60000', reduce_only: true },
    'limit',
    'sell',
    59990,
    { takeProfitPrice: 60000, reduceOnly: true },
  ),
  conditional('stop that opens', { order_kind: 'stop_market', trigger_price: '60000' }, 'market', 'buy', undefined, {
    stopLossPrice: 60000,
  }),
  {
    name: 'stop ladder',
    operation: 'place_stop_ladder',
    parameters: {
      rungs: [
        { instrument, side: 'sell', size: '0.001', order_kind: 'stop_market', trigger_price: '40000', client_order_id: 'a' },
        { instrument, side: 'sell', size: '0.002', order_kind: 'stop_market', trigger_price: '39000', client_order_id: 'b' },
      ],
    },
    all: true,
    theirs: async (e) => {
      const rung = { reduceOnly: true };
      await e.createOrder(BTC, 'market', 'sell', 0.001, undefined, { ...rung, stopLossPrice: 40000, clientOrderId: 'a' });
      await e.createOrder(BTC, 'market', 'sell', 0.002, undefined, { ...rung, stopLossPrice: 39000, clientOrderId: 'b' });
    },
  },
  {
    name: 'cancel a conditional order',
    operation: 'cancel_conditional_order',
    parameters: { instrument, order_id: '123' },
    theirs: (e) => e.cancelOrder('123', BTC, { trigger: true }),
  },
  {
    name: 'cancel a conditional order by client id',
    operation: 'cancel_conditional_order',
    parameters: { instrument, client_order_id: 'mine-1' },
    theirs: (e) => e.cancelOrder(undefined, BTC, { trigger: true, ...id }),
  },
  {
    name: 'set leverage',
    operation: 'set_leverage',
    parameters: { instrument, leverage: '5' },
    theirs: (e) => e.setLeverage(5, BTC),
  },
  {
    name: 'set margin mode, isolated',
    operation: 'set_margin_mode',
    parameters: { instrument, margin_mode: 'isolated' },
    theirs: (e) => e.setMarginMode('isolated', BTC),
  },
  {
    name: 'set margin mode, cross',
    operation: 'set_margin_mode',
    parameters: { instrument, margin_mode: 'cross' },
    theirs: (e) => e.setMarginMode('cross', BTC),
  },
  {
    name: 'set position mode, hedge',
    operation: 'set_position_mode',
    parameters: { position_mode: 'hedge' },
    theirs: (e) => e.setPositionMode(true, BTC),
  },
  {
    name: 'set position mode, one-way',
    operation: 'set_position_mode',
    parameters: { position_mode: 'one_way' },
    theirs: (e) => e.setPositionMode(false, BTC),
  },
  { name: 'position mode', operation: 'account_mode', theirs: (e) => e.fetchPositionMode(BTC) },
  {
    name: 'order',
    operation: 'order',
    parameters: { instrument, order_id: '123' },
    theirs: (e) => e.fetchOrder('123', BTC),
  },
  {
    name: 'order by client id',
    operation: 'order',
    parameters: { instrument, client_order_id: 'mine-1' },
    theirs: (e) => e.fetchOrder(undefined, BTC, id),
  },
  { name: 'open orders', operation: 'open_orders', parameters: { instrument }, theirs: (e) => e.fetchOpenOrders(BTC) },
  {
    name: 'open orders of all instruments',
    operation: 'open_orders',
    theirs: (e) => e.fetchOpenOrders(undefined, undefined, undefined, { type: 'swap' }),
  },
  { name: 'positions', operation: 'positions', theirs: (e) => e.fetchPositions() },
  { name: 'balances', operation: 'balances', theirs: (e) => e.fetchBalance() },
  { name: 'fills', operation: 'fills', parameters: { instrument }, theirs: (e) => e.fetchMyTrades(BTC) },
  {
    name: 'fills since',
    operation: 'fills',
    parameters: { instrument, start_ms: 1600000000000, limit: 50 },
    theirs: (e) => e.fetchMyTrades(BTC, 1600000000000, 50),
  },
  { name: 'time', operation: 'server_time', theirs: (e) => e.fetchTime() },
  { name: 'best prices', operation: 'ticker', parameters: { instrument }, theirs: (e) => e.fetchBidsAsks([BTC]) },
  { name: 'book', operation: 'book', parameters: { instrument, depth: 50 }, theirs: (e) => e.fetchOrderBook(BTC, 50) },
  { name: 'trades', operation: 'trades', parameters: { instrument }, theirs: (e) => e.fetchTrades(BTC) },
  {
    name: 'klines',
    operation: 'klines',
    parameters: { instrument, interval: '5m', start_ms: 1600000000000, end_ms: 1600009000000, limit: 100 },
    theirs: (e) => e.fetchOHLCV(BTC, '5m', 1600000000000, 100, { until: 1600009000000 }),
  },
  { name: 'mark price', operation: 'mark', parameters: { instrument }, theirs: (e) => e.fetchMarkPrice(BTC) },
  { name: 'funding', operation: 'funding', parameters: { instrument }, theirs: (e) => e.fetchFundingRate(BTC) },
  { name: 'create listen key', operation: 'create_listen_key', theirs: (e) => e.fapiPrivatePostListenKey() },
  { name: 'keep listen key', operation: 'keep_listen_key', theirs: (e) => e.fapiPrivatePutListenKey() },
  { name: 'close listen key', operation: 'close_listen_key', theirs: (e) => e.fapiPrivateDeleteListenKey() },
];

await run({ venue: 'binance', exchange, markets, cases });
