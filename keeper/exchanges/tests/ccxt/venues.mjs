// ccxt's client of each venue with its addresses pointed at a simulator.

const SECRET = 'test_secret';

/// Every address that starts with one of `hosts` starts with the simulator's instead, at any depth.
function redirect(value, pairs) {
  if (typeof value === 'string') {
    for (const [host, replacement] of pairs) {
      if (value.startsWith(host)) return replacement + value.slice(host.length);
    }
    return value;
  }
  if (Array.isArray(value)) return value.map((one) => redirect(one, pairs));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, redirect(one, pairs)]));
  }
  return value;
}

function client(Class, url, { secret = SECRET, hosts, ...options }) {
  const exchange = new Class({ apiKey: 'test_api_key', secret, password: 'test_passphrase', enableRateLimit: false, ...options });
  const socket = url.replace(/^http/, 'ws');
  exchange.urls.api = redirect(
    exchange.urls.api,
    hosts.map((host) => [host, host.startsWith('ws') ? socket : url]),
  );
  return exchange;
}

export function binance(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.binanceusdm, url, {
    hosts: ['https://fapi.binance.com', 'wss://fstream.binance.com'],
    options: { fetchMarkets: { types: ['linear'] }, fetchCurrencies: false, defaultType: 'swap' },
    ...more,
  });
  exchange.has.fetchCurrencies = false;
  return { exchange, symbol: 'BTC/USDT:USDT', amount: 0.01, steps: { leverage: {} } };
}

export function hyperliquid(ccxt, url, { secret = '0x0123456789012345678901234567890123456789012345678901234567890123', ...more } = {}) {
  const exchange = client(ccxt.pro.hyperliquid, url, {
    hosts: ['https://api.{hostname}', 'wss://api.hyperliquid.xyz'],
    privateKey: secret,
    walletAddress: '0x14791697260E4c9A71f18484C9f997B308e59325',
    ...more,
  });
  const symbol = 'BTC/USDC:USDC';
  const steps = {
    leverage: {},
    // Market orders are limit orders here; ccxt wants the price to reckon the worst one from.
    marketPrice: true,
    // Reading needs no key: an order shows whether a signature is checked. ccxt has no better class for it.
    wrongSecret: '0x0123456789012345678901234567890123456789012345678901234567890124',
    wrongError: /User or API Wallet 0x[0-9a-f]{40} does not exist/,
    signed: (stranger) => stranger.createOrder(symbol, 'limit', 'buy', 0.01, 45000),
    more: async ({ price, within, done, assert }) => {
      assert.equal(exchange.options.approvedBuilderFee, true);
      done('an action signed by the wallet is taken');
      await within(Promise.all([exchange.watchOrderBook(symbol), exchange.watchTrades(symbol), exchange.watchOHLCV(symbol)]), 'market data');
      await within(exchange.watchMyTrades(symbol), 'fills before the subscription');
      done('book, trades, candles and fills over sockets');
      const placed = await exchange.createOrderWs(symbol, 'limit', 'buy', 0.01, Math.round(price * 0.9));
      await exchange.cancelOrderWs(placed.id, symbol);
      done('placed and cancelled over the socket');
      const ids = ['0x00000000000000000000000000000001', '0x00000000000000000000000000000002'];
      const order = (clientOrderId) => ({ symbol, type: 'limit', side: 'buy', amount: 0.01, price: Math.round(price * 0.9), params: { clientOrderId } });
      assert.equal((await exchange.createOrders(ids.map(order))).length, 2);
      await exchange.cancelOrders([], symbol, { clientOrderId: ids });
      done('two at once, cancelled by their own ids');
      // ccxt has nothing to tell of an account without positions, hence the order while it waits.
      const watched = exchange.watchPositions([symbol]);
      await exchange.createOrder(symbol, 'market', 'buy', 0.01, price);
      assert.equal((await within(watched, 'a position'))[0].contracts, 0.01);
      const stop = await exchange.createOrder(symbol, 'market', 'sell', 0.01, price, { stopLossPrice: Math.round(price * 0.9), reduceOnly: true });
      const waiting = (await exchange.fetchOpenOrders(symbol)).find((one) => one.id === stop.id);
      assert.equal(waiting.stopLossPrice, Math.round(price * 0.9));
      await exchange.cancelOrder(stop.id, symbol);
      await exchange.createOrder(symbol, 'market', 'sell', 0.01, price, { reduceOnly: true });
      await assert.rejects(exchange.fetchOrder('1', symbol), ccxt.OrderNotFound);
      await assert.rejects(exchange.createOrder(symbol, 'limit', 'buy', 0.0001, Math.round(price * 0.9)), /minimum value/);
      done('a stop waits and is cancelled; refusals have their words');
    },
  };
  return { exchange, symbol, amount: 0.01, steps };
}

export function deribit(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.deribit, url, { hosts: ['https://www.deribit.com', 'wss://www.deribit.com'], ...more });
  const symbol = 'BTC/USDC:USDC';
  const steps = {
    // No leverage step: the venue has no such setting.
    more: async ({ price, within, done, assert }) => {
      await within(Promise.all([exchange.watchOrderBook(symbol), exchange.watchTrades(symbol), exchange.watchOHLCV(symbol)]), 'market data');
      const book = await within(exchange.watchOrderBook(symbol), 'a change of the book');
      assert.ok(book.bids[0][0] < book.asks[0][0] && book.bids.length <= 21, 'changes keep the book sound');
      done('book with its changes, trades and candles over a socket');
      const watched = Promise.all([exchange.watchMyTrades(symbol), exchange.watchBalance()]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const bought = await exchange.createOrder(symbol, 'market', 'buy', 0.01, undefined, { label: 'mine' });
      assert.equal(bought.trades.length, 1);
      await within(watched, 'a fill and a balance');
      assert.equal((await exchange.fetchPosition(symbol)).side, 'long');
      const stop = await exchange.createOrder(symbol, 'market', 'sell', 0.01, undefined, { stopLossPrice: Math.round(price * 0.9), reduceOnly: true });
      assert.equal((await exchange.fetchOrder(stop.id)).info.order_state, 'untriggered');
      await exchange.cancelAllOrders(symbol);
      assert.deepEqual(await exchange.fetchOpenOrders(symbol), []);
      await exchange.privateGetClosePosition({ instrument_name: bought.info.instrument_name, type: 'market' });
      assert.deepEqual(await exchange.fetchPositions([symbol]), []);
      done('fills and balance were pushed, a stop waited, the position was closed');
      await assert.rejects(exchange.fetchOrder('USDC-1'), ccxt.OrderNotFound);
      await assert.rejects(exchange.createOrder(symbol, 'market', 'buy', 1_000_000), ccxt.InsufficientFunds);
    },
  };
  return { exchange, symbol, amount: 0.01, steps };
}

/// The perpetual that is counted in dollars and settled in bitcoin.
export function deribitInverse(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.deribit, url, { hosts: ['https://www.deribit.com', 'wss://www.deribit.com'], ...more });
  const symbol = 'BTC/USD:BTC';
  const steps = {
    more: async ({ price, within, done, assert }) => {
      const market = exchange.market(symbol);
      assert.deepEqual([market.inverse, market.contractSize, market.precision.amount, market.settle], [true, 10, 10, 'BTC']);
      await assert.rejects(exchange.privateGetBuy({ instrument_name: market.id, amount: 15, type: 'market' }), /10021|invalid_amount/);
      done('sizes are multiples of ten dollars');
      const bitcoin = async () => (await exchange.fetchBalance()).BTC.total;
      const before = await bitcoin();
      const bought = await exchange.createOrder(symbol, 'market', 'buy', 50_000);
      const [trade] = bought.trades;
      assert.equal(trade.fee.currency, 'BTC');
      assert.ok(Math.abs(trade.fee.cost - (50_000 / trade.price) * 0.0005) < 1e-7, `fee ${trade.fee.cost}`);
      const watched = Promise.all([exchange.watchBalance(), exchange.watchMyTrades(symbol)]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const position = await exchange.fetchPosition(symbol);
      assert.equal(position.contracts, 50_000);
      assert.ok(Math.abs(position.notional - 50_000 / position.markPrice) < 1e-6, 'its worth is in bitcoin');
      const earned = 50_000 / position.entryPrice - 50_000 / position.markPrice;
      assert.ok(Math.abs(position.unrealizedPnl - earned) < 1e-6, `profit ${position.unrealizedPnl}, not ${earned}`);
      const sold = await exchange.createOrder(symbol, 'market', 'sell', 50_000, undefined, { reduceOnly: true });
      await within(watched, 'a balance and a fill');
      const expected = before + 50_000 / trade.price - 50_000 / sold.trades[0].price - trade.fee.cost - sold.trades[0].fee.cost;
      const after = await bitcoin();
      assert.ok(Math.abs(after - expected) < 1e-6, `${after} bitcoin, not ${expected}`);
      done('fees, profit and balance are in bitcoin');
      const stop = await exchange.createOrder(symbol, 'limit', 'buy', 100, Math.round(price * 0.9));
      assert.ok(!stop.id.includes('-'), 'ids of bitcoin name no currency');
      await exchange.privateGetCancelAllByCurrency({ currency: 'USDC' });
      assert.equal((await exchange.fetchOrder(stop.id)).status, 'open');
      await exchange.privateGetCancelAllByCurrency({ currency: 'BTC' });
      assert.equal((await exchange.fetchOrder(stop.id)).status, 'canceled');
      done('currencies are kept apart');
    },
  };
  return { exchange, symbol, amount: 1_000, steps };
}

export function htx(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.htx, url, {
    hosts: ['https://{hostname}', 'wss://api.hbdm.vn'],
    options: { defaultType: 'swap', defaultSubType: 'linear', fetchMarkets: { types: { spot: false, linear: true, inverse: false } } },
    ...more,
  });
  exchange.has.fetchCurrencies = false;
  // The host is signed.
  const { host } = new URL(url);
  exchange.urls.hostnames.contract = host;
  // Of the address of a socket ccxt signs the path, but finds it only in encrypted ones.
  const { hmac } = exchange;
  exchange.hmac = (text, ...rest) => {
    const payload = new TextDecoder().decode(text).replace(`\nws://${host}/`, '\n/');
    return hmac.call(exchange, exchange.encode(payload), ...rest);
  };
  const symbol = 'BTC/USDT:USDT';
  const steps = {
    leverage: {},
    // The venue has no change of an order, and ccxt none for it.
    amend: false,
    more: async ({ price, within, done, assert }) => {
      await within(Promise.all([exchange.watchTrades(symbol), exchange.watchOHLCV(symbol), exchange.watchOrderBook(symbol)]), 'market data');
      const first = exchange.orderbooks[symbol].nonce;
      await within(exchange.watchOrderBook(symbol), 'a change of the book');
      await within(exchange.watchOrderBook(symbol), 'a change of the book');
      const book = exchange.orderbooks[symbol];
      assert.ok(book.nonce > first && book.bids[0][0] < book.asks[0][0] && book.bids.length <= 20, 'changes keep the book sound');
      done('book with its changes, trades and candles over a socket');
      const watched = Promise.all([exchange.watchMyTrades(symbol), exchange.watchBalance()]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await exchange.createOrder(symbol, 'market', 'buy', 3);
      await within(watched, 'a fill and a balance');
      const stop = await exchange.createOrder(symbol, 'market', 'sell', 3, undefined, { stopLossPrice: price * 0.9 });
      assert.ok((await exchange.fetchOpenOrders(symbol, undefined, undefined, { stopLoss: true })).some((one) => one.id === stop.id));
      await exchange.cancelOrder(stop.id, symbol, { stopLoss: true });
      await exchange.closePosition(symbol);
      assert.deepEqual(await exchange.fetchPositions([symbol]), []);
      done('fills and balance were pushed, a stop waited, the position was closed');
      const order = (clientOrderId) => ({ symbol, type: 'limit', side: 'buy', amount: 1, price: price * 0.9, params: { clientOrderId } });
      const [one, two] = await exchange.createOrders([order('11'), order('12')]);
      await exchange.cancelOrders([one.id, two.id], symbol);
      assert.deepEqual(await exchange.fetchOpenOrders(symbol), []);
      await assert.rejects(exchange.cancelOrder(one.id, symbol), ccxt.OrderNotFound);
      await exchange.setPositionMode(true);
      await exchange.createOrder(symbol, 'market', 'buy', 2, undefined, { position_side: 'long' });
      await exchange.createOrder(symbol, 'market', 'sell', 1, undefined, { position_side: 'short' });
      assert.deepEqual((await exchange.fetchPositions([symbol])).map((one) => [one.side, one.contracts]), [['long', 2], ['short', 1]]);
      await exchange.createOrder(symbol, 'market', 'sell', 2, undefined, { position_side: 'long' });
      await exchange.createOrder(symbol, 'market', 'buy', 1, undefined, { position_side: 'short' });
      await exchange.setPositionMode(false);
      done('several at once; both sides of a position beside each other');
    },
  };
  return { exchange, symbol, amount: 2, steps };
}

export function okx(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.okx, url, {
    hosts: ['https://{hostname}', 'wss://ws.okx.com:8443'],
    options: { fetchMarkets: { types: ['swap'] }, defaultType: 'swap' },
    ...more,
  });
  return { exchange, symbol: 'BTC/USDT:USDT', amount: 0.02, steps: { leverage: { mgnMode: 'cross' } } };
}

export function bybit(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.bybit, url, {
    hosts: ['https://api.{hostname}', 'wss://stream.{hostname}', 'wss://stream.bybit.com'],
    // ccxt wants it confirmed that orders are found by id for a while only.
    options: { fetchMarkets: { types: ['linear'] }, defaultType: 'swap', fetchOrder: { acknowledged: true } },
    ...more,
  });
  exchange.has.fetchCurrencies = false;
  return { exchange, symbol: 'BTC/USDT:USDT', amount: 0.001, steps: { leverage: {} } };
}

function bitgetClient(ccxt, url, uta, more) {
  const exchange = client(ccxt.pro.bitget, url, {
    hosts: ['https://api.{hostname}', 'wss://ws.bitget.com'],
    // Said here, since ccxt would ask the account, which is of both kinds on the simulator.
    options: { uta, fetchMarkets: { types: ['swap'] }, defaultType: 'swap' },
    ...more,
  });
  exchange.has.fetchCurrencies = false;
  return exchange;
}

export function bitget(ccxt, url, more = {}) {
  const exchange = bitgetClient(ccxt, url, false, more);
  return { exchange, symbol: 'BTC/USDT:USDT', amount: 0.0002, steps: { leverage: {} } };
}

export function bitgetUnified(ccxt, url, more = {}) {
  const exchange = bitgetClient(ccxt, url, true, more);
  const symbol = 'BTC/USDT:USDT';
  const amount = 0.0002;
  const steps = {
    leverage: {},
    more: async ({ price, within, done, assert }) => {
      await within(Promise.all([exchange.watchOrderBook(symbol), exchange.watchTrades(symbol), exchange.watchOHLCV(symbol)]), 'market data');
      for (let change = 0; change < 3; change += 1) {
        await within(exchange.watchOrderBook(symbol), 'a change of the book');
      }
      const book = exchange.orderbooks[symbol];
      assert.ok(book.bids[0][0] < book.asks[0][0] && book.bids.length <= 20, 'changes keep the book sound');
      assert.equal((await exchange.fetchOHLCV(symbol, '1h', undefined, 5)).length, 5);
      done('book with its changes, trades and candles over a socket');

      const pushes = Promise.all([exchange.watchMyTrades(symbol), exchange.watchBalance(), exchange.watchPositions([symbol])]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await exchange.createOrder(symbol, 'market', 'buy', amount);
      const [trades] = await within(pushes, 'a fill, a balance and a position');
      assert.equal(trades.at(-1).amount, amount);
      assert.equal((await exchange.fetchPosition(symbol)).side, 'long');
      const stop = await exchange.createOrder(symbol, 'market', 'sell', amount, undefined, { stopLossPrice: price * 0.9, reduceOnly: true });
      const waiting = await exchange.fetchOpenOrders(symbol, undefined, undefined, { trigger: true });
      assert.ok(waiting.some((one) => one.id === stop.id && one.amount === amount));
      await exchange.cancelOrder(stop.id, symbol, { trigger: true });
      const turned = within(exchange.watchPositions([symbol]), 'the end of a position');
      await exchange.closePosition(symbol);
      assert.equal((await turned).find((one) => one.symbol === symbol)?.contracts, 0);
      assert.deepEqual(await exchange.fetchPositions([symbol]), []);
      done('a fill, a balance and a position were pushed; a stop waited; the position was closed');

      const order = (clientOrderId) => ({ symbol, type: 'limit', side: 'buy', amount, price: price * 0.9, params: { clientOrderId } });
      const placed = await exchange.createOrders([order('first'), order('second'), order('third')]);
      assert.deepEqual(placed.map((one) => one.clientOrderId), ['first', 'second', 'third']);
      await exchange.cancelOrders([placed[0].id, placed[1].id], symbol);
      assert.deepEqual((await exchange.fetchOpenOrders(symbol)).map((one) => one.id), [placed[2].id]);
      await exchange.cancelAllOrders(symbol);
      assert.deepEqual(await exchange.fetchOpenOrders(symbol), []);
      assert.ok((await exchange.fetchCanceledOrders(symbol)).some((one) => one.id === placed[2].id));
      // ccxt has no class for the code of v3.
      await assert.rejects(exchange.fetchOrder(`${placed[2].id}0`, symbol), /25204/);
      await assert.rejects(exchange.cancelOrder(placed[2].id, symbol), /25204/);
      done('three at once, cancelled in part and whole; what is gone is not found');

      await assert.rejects(exchange.createOrder(symbol, 'market', 'buy', amount, undefined, { hedged: true }), /40774/);
      await exchange.setPositionMode(true);
      await exchange.createOrder(symbol, 'market', 'buy', amount * 2, undefined, { hedged: true });
      await exchange.createOrder(symbol, 'market', 'sell', amount, undefined, { hedged: true });
      const both = await exchange.fetchPositions([symbol]);
      assert.deepEqual(both.map((one) => [one.side, one.contracts]).sort(), [['long', amount * 2], ['short', amount]]);
      // The way of the order, with the position beside: in v2 closing a long position is a buy.
      await exchange.createOrder(symbol, 'market', 'sell', amount * 2, undefined, { hedged: true, reduceOnly: true });
      await exchange.createOrder(symbol, 'market', 'buy', amount, undefined, { hedged: true, reduceOnly: true });
      assert.deepEqual(await exchange.fetchPositions([symbol]), []);
      await exchange.setPositionMode(false);
      done('both sides of a position beside each other');
    },
  };
  return { exchange, symbol, amount, steps };
}
