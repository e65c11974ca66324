// Bybit v5. ccxt sends a header `Referer` with its broker code with every act, which cannot be switched off: not compared.
import ccxt from 'ccxt';
import { perpetual, run, CREDENTIALS } from './harness.mjs';

const exchange = new ccxt.bybit({
  apiKey: CREDENTIALS.key,
  secret: CREDENTIALS.secret,
  options: { defaultType: 'swap', enableUnifiedAccount: true, enableUnifiedMargin: false, unifiedMarginStatus: 6 },
});

const markets = [
  perpetual({ id: 'BTCUSDT', base: 'BTC', quote: 'USDT', step: 0.001, tick: 0.1 }),
  perpetual({ id: 'BTCUSD', base: 'BTC', quote: 'USD', settle: 'BTC', step: 1, tick: 0.1, linear: false }),
];

const BTC = 'BTC/USDT:USDT';
const INVERSE = 'BTC/USD:BTC';
const instrument = 'BTCUSDT';
const order = (more) => ({ instrument, side: 'buy', size: '0.002', client_order_id: 'mine-1', ...more });
const id = { clientOrderId: 'mine-1' };

const place = (name, parameters, type, side, price, params = {}, more = {}) => ({
  name,
  operation: 'place_order',
  parameters: order({ side, order_kind: type, price: price && String(price), ...parameters }),
  theirs: (e) => e.createOrder(BTC, type, side, 0.002, price, { ...id, ...params }),
  ...more,
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
  // With `hedged` ccxt leaves `reduceOnly` out, and the order could open. Ours always says it: compared with ccxt told so.
  place('hedge, reduce long', { position_side: 'long', reduce_only: true }, 'market', 'sell', undefined, {
    reduceOnly: true,
    positionIdx: 1,
  }),
  place('hedge, reduce short at a limit', { position_side: 'short', reduce_only: true }, 'limit', 'buy', 50000, {
    reduceOnly: true,
    positionIdx: 2,
  }),
  {
    name: 'inverse limit: dollars at the price',
    operation: 'place_order',
    parameters: order({ instrument: 'BTCUSD', order_kind: 'limit', price: '50000' }),
    theirs: (e) => e.createOrder(INVERSE, 'limit', 'buy', 100, 50000, id),
  },
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
    parameters: { instrument, order_id: '123', size: '0.003', price: '50001' },
    theirs: (e) => e.editOrder('123', BTC, 'limit', 'buy', 0.003, 50001),
  },
  {
    name: 'amend by client id',
    operation: 'amend_order',
    parameters: { instrument, client_order_id: 'mine-1', size: '0.003', price: '50001' },
    theirs: (e) => {
      // ccxt also sends the id under its own name, which the venue does not know.
      const request = e.editOrderRequest(undefined, BTC, 'limit', 'buy', 0.003, 50001, id);
      return e.privatePostV5OrderAmend(request);
    },
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
    theirs: (e) => e.cancelOrder(undefined, BTC, { orderLinkId: 'mine-1' }),
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
  { name: 'cancel all of all instruments', operation: 'cancel_all_orders', theirs: (e) => e.cancelAllOrders() },
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
    theirs: (e) => e.createOrder(BTC, 'market', 'buy', 0.002, undefined, { ...id, reduceOnly: true, positionIdx: 2 }),
  },
  conditional('stop', { order_kind: 'stop_market', trigger_price: '40000', reduce_only: true }, 'market', 'sell', undefined, {
    stopLossPrice: 40000,
  }),
  conditional(
    'stop by mark price in hedge mode',
    { order_kind: 'stop_market', trigger_price: '40000', trigger_by: 'mark', reduce_only: true, position_side: 'long' },
    'market',
    'sell',
    undefined,
    { stopLossPrice: 40000, positionIdx: 1, triggerBy: 'MarkPrice' },
  ),
  conditional('stop of a short position', { order_kind: 'stop_market', trigger_price: '60000', reduce_only: true }, 'market', 'buy', undefined, {
    stopLossPrice: 60000,
  }),
  conditional('stop limit', { order_kind: 'stop_limit', trigger_price: '40000', reduce_only: true }, 'limit', 'sell', 39990, {
    stopLossPrice: 40000,
  }),
  conditional(
    'take profit',
    { order_kind: 'take_profit_market', trigger_price: '60000', reduce_only: true },
    'market',
    'sell',
    undefined,
    { takeProfitPrice: 60000 },
  ),
  conditional('stop that opens', { order_kind: 'stop_market', trigger_price: '60000' }, 'market', 'buy', undefined, {
    triggerPrice: 60000,
    triggerDirection: 'ascending',
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
    theirs: (e) =>
      e.createOrders([
        { symbol: BTC, type: 'market', side: 'sell', amount: 0.001, params: { stopLossPrice: 40000, clientOrderId: 'a' } },
        { symbol: BTC, type: 'market', side: 'sell', amount: 0.002, params: { stopLossPrice: 39000, clientOrderId: 'b' } },
      ]),
  },
  {
    name: 'cancel a conditional order',
    operation: 'cancel_conditional_order',
    parameters: { instrument, order_id: '123' },
    // ccxt's `trigger` would only be passed through: the venue cancels both kinds alike.
    theirs: (e) => e.cancelOrder('123', BTC),
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
    theirs: (e) => e.setMarginMode('isolated'),
  },
  {
    name: 'set margin mode, cross',
    operation: 'set_margin_mode',
    parameters: { instrument, margin_mode: 'cross' },
    theirs: (e) => e.setMarginMode('cross'),
  },
  {
    name: 'set position mode, hedge',
    operation: 'set_position_mode',
    parameters: { position_mode: 'hedge' },
    theirs: (e) => e.setPositionMode(true),
  },
  {
    name: 'set position mode, one-way',
    operation: 'set_position_mode',
    parameters: { position_mode: 'one_way' },
    theirs: (e) => e.setPositionMode(false),
  },
  {
    name: 'order',
    operation: 'order',
    parameters: { instrument, order_id: '123' },
    theirs: (e) => e.fetchOrder('123', BTC, { acknowledged: true }),
  },
  {
    name: 'order by client id',
    operation: 'order',
    parameters: { instrument, client_order_id: 'mine-1' },
    theirs: (e) => e.fetchOrder(undefined, BTC, { acknowledged: true, orderLinkId: 'mine-1' }),
  },
  {
    name: 'open orders',
    operation: 'open_orders',
    parameters: { instrument },
    theirs: (e) => e.fetchOpenOrders(BTC, undefined, 50),
  },
  {
    name: 'open orders of all instruments',
    operation: 'open_orders',
    theirs: (e) => e.fetchOpenOrders(undefined, undefined, 50),
  },
  { name: 'positions', operation: 'positions', theirs: (e) => e.fetchPositions() },
  {
    name: 'positions of one instrument',
    operation: 'positions',
    parameters: { instrument },
    theirs: (e) => e.fetchPositions([BTC]),
  },
  { name: 'leverage', operation: 'leverage', parameters: { instrument }, theirs: (e) => e.fetchLeverage(BTC) },
  { name: 'balances', operation: 'balances', theirs: (e) => e.fetchBalance() },
  {
    name: 'fills since',
    operation: 'fills',
    parameters: { instrument, start_ms: 1600000000000, limit: 50 },
    theirs: (e) => e.fetchMyTrades(BTC, 1600000000000, 50),
    differs: {
      query: { execType: 'ccxt asks for ordinary trades only; a gap is filled with all that moved the position' },
      headers: { 'X-BAPI-SIGN': 'it is over the query' },
    },
  },
  { name: 'time', operation: 'server_time', theirs: (e) => e.fetchTime() },
  { name: 'ticker', operation: 'ticker', parameters: { instrument }, theirs: (e) => e.fetchTicker(BTC) },
  { name: 'funding', operation: 'funding', parameters: { instrument }, theirs: (e) => e.fetchFundingRate(BTC) },
  { name: 'book', operation: 'book', parameters: { instrument, depth: 50 }, theirs: (e) => e.fetchOrderBook(BTC, 50) },
  { name: 'trades', operation: 'trades', parameters: { instrument }, theirs: (e) => e.fetchTrades(BTC) },
  {
    name: 'klines',
    operation: 'klines',
    parameters: { instrument, interval: '5m', start_ms: 1600000200000, end_ms: 1600009000000, limit: 100 },
    theirs: (e) => e.fetchOHLCV(BTC, '5m', 1600000200000, 100, { until: 1600009000000 }),
  },
];

for (const one of cases) {
  one.differs = { ...one.differs, headers: { ...one.differs?.headers, Referer: "ccxt's broker code" } };
}

await run({ venue: 'bybit', exchange, markets, cases });
