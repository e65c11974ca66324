// Hyperliquid's actions are signed over their bytes, so every signature below is also a proof of the bytes.
import ccxt from 'ccxt';

import { TIMESTAMP_MS, perpetual, run } from './harness.mjs';

const SECRET = '0x0123456789012345678901234567890123456789012345678901234567890123';
const ADDRESS = '0x14791697260e4c9a71f18484c9f997b308e59325';
const CLIENT_ID = '0x00000000000000000000000000000001';

const exchange = new ccxt.hyperliquid({ walletAddress: ADDRESS, privateKey: SECRET });
// ccxt asks for a share for its authors before the first order (builder fee, referrer): switched off.
exchange.options.builderFee = false;
exchange.options.approvedBuilderFee = false;
exchange.initializeClient = async () => true;
exchange.options.enableUnifiedMargin = false;
// A market order of ours carries its worst price; ccxt would widen the price it is given.
exchange.options.defaultSlippage = '0';
exchange.incrementingNonce = () => TIMESTAMP_MS;

const SOL = 'SOL/USDC:USDC';
const ETH = 'ETH/USDC:USDC';
const markets = [
  perpetual({ id: '5', base: 'SOL', quote: 'USDC', step: 0.01, tick: 0.01, baseId: '5', baseName: 'SOL' }),
  perpetual({ id: '1', base: 'ETH', quote: 'USDC', step: 0.0001, tick: 0.01, baseId: '1', baseName: 'ETH' }),
];

// The envelope around a signed action is no part of what is signed; ccxt writes its members in another order here.
const envelope = { body: { '': 'members of the envelope stand in another order' } };
const order = (more) => ({ instrument: 'SOL', side: 'buy', size: '1.5', ...more });

await run({
  venue: 'hyperliquid',
  exchange,
  markets,
  credentials: { key: ADDRESS, secret: SECRET },
  cases: [
    {
      name: 'limit',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '100.5' }),
      theirs: (e) => e.createOrder(SOL, 'limit', 'buy', 1.5, 100.5),
    },
    {
      name: 'limit, own id',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '100.5', client_order_id: CLIENT_ID }),
      theirs: (e) => e.createOrder(SOL, 'limit', 'buy', 1.5, 100.5, { clientOrderId: CLIENT_ID }),
    },
    {
      name: 'market up to a price',
      operation: 'place_order',
      parameters: order({ side: 'sell', price: '95', reduce_only: true }),
      theirs: (e) => e.createOrder(SOL, 'market', 'sell', 1.5, 95, { reduceOnly: true }),
    },
    {
      name: 'post-only',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '100', time_in_force: 'post_only' }),
      theirs: (e) => e.createOrder(SOL, 'limit', 'buy', 1.5, 100, { postOnly: true }),
    },
    {
      name: 'immediate or cancel',
      operation: 'place_order',
      parameters: order({ order_kind: 'limit', price: '100', time_in_force: 'immediate_or_cancel' }),
      theirs: (e) => e.createOrder(SOL, 'limit', 'buy', 1.5, 100, { timeInForce: 'IOC' }),
    },
    {
      name: 'several',
      operation: 'place_orders',
      parameters: {
        orders: [
          order({ order_kind: 'limit', price: '100' }),
          { instrument: 'ETH', side: 'sell', size: '0.25', order_kind: 'limit', price: '2000.5' },
        ],
      },
      theirs: (e) =>
        e.createOrders([
          { symbol: SOL, type: 'limit', side: 'buy', amount: 1.5, price: 100 },
          { symbol: ETH, type: 'limit', side: 'sell', amount: 0.25, price: 2000.5 },
        ]),
    },
    {
      name: 'amend',
      operation: 'amend_order',
      parameters: { instrument: 'SOL', order_id: '123', side: 'buy', size: '2', price: '101' },
      theirs: (e) => e.editOrder('123', SOL, 'limit', 'buy', 2, 101),
    },
    {
      name: 'cancel by the venue\'s id',
      operation: 'cancel_order',
      parameters: { instrument: 'SOL', order_id: '123' },
      theirs: (e) => e.cancelOrder('123', SOL),
      differs: envelope,
    },
    {
      name: 'cancel by own id',
      operation: 'cancel_order',
      parameters: { instrument: 'SOL', client_order_id: CLIENT_ID },
      theirs: (e) => e.cancelOrder(undefined, SOL, { clientOrderId: CLIENT_ID }),
      differs: envelope,
    },
    {
      name: 'cancel several',
      operation: 'cancel_orders',
      parameters: { orders: [{ instrument: 'SOL', order_id: '1' }, { instrument: 'SOL', order_id: '2' }] },
      theirs: (e) => e.cancelOrders(['1', '2'], SOL),
      differs: envelope,
    },
    {
      name: 'close',
      operation: 'close_position',
      parameters: { instrument: 'SOL', size: '-1.5', price: '110' },
      theirs: (e) => e.createOrder(SOL, 'market', 'buy', 1.5, 110, { reduceOnly: true }),
    },
    {
      name: 'stop',
      operation: 'place_conditional_order',
      parameters: order({
        side: 'sell',
        order_kind: 'stop_market',
        trigger_price: '90',
        price: '85',
        reduce_only: true,
      }),
      theirs: (e) => e.createOrder(SOL, 'market', 'sell', 1.5, 85, { stopLossPrice: 90, reduceOnly: true }),
    },
    {
      name: 'take profit at a limit',
      operation: 'place_conditional_order',
      parameters: order({
        side: 'sell',
        order_kind: 'take_profit_limit',
        trigger_price: '120',
        price: '119.5',
        reduce_only: true,
      }),
      theirs: (e) => e.createOrder(SOL, 'limit', 'sell', 1.5, 119.5, { takeProfitPrice: 120, reduceOnly: true }),
    },
    {
      name: 'cancel all after',
      operation: 'cancel_all_after',
      parameters: { after_ms: 10000 },
      theirs: (e) => e.cancelAllOrdersAfter(10000),
      differs: envelope,
    },
    {
      name: 'leverage',
      operation: 'set_leverage',
      parameters: { instrument: 'SOL', leverage: '5' },
      theirs: (e) => e.setLeverage(5, SOL),
    },
    {
      name: 'margin mode',
      operation: 'set_margin_mode',
      parameters: { instrument: 'SOL', margin_mode: 'isolated', leverage: '5' },
      theirs: (e) => e.setMarginMode('isolated', SOL, { leverage: 5 }),
    },
    {
      name: 'one order',
      operation: 'order',
      parameters: { instrument: 'SOL', order_id: '123' },
      theirs: (e) => e.fetchOrder('123', SOL),
    },
    {
      name: 'open orders',
      operation: 'open_orders',
      theirs: (e) => e.fetchOpenOrders(),
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
      theirs: (e) => e.fetchMyTrades(),
    },
    {
      name: 'fills since',
      operation: 'fills',
      parameters: { start_ms: 1699999000000 },
      theirs: (e) => e.fetchMyTrades(undefined, 1699999000000),
    },
  ],
});
