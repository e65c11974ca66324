// ccxt, a client nobody here wrote, trades on a simulator: node trade.mjs <venue> <http://host:port>
//
// It loads the venue's markets, reads its clock, balance and book, places, reads, amends and cancels orders, opens and
// closes a position, and watches its own orders and the ticker over sockets. Prints one line per step that held; ends
// with 1 at the first that did not.

import assert from 'node:assert/strict';
import ccxt from 'ccxt';
import * as venues from './venues.mjs';

const [, , venue, url] = process.argv;
const { exchange, symbol, amount, steps } = venues[venue](ccxt, url);

const done = (what) => console.log(`ok ${what}`);

async function within(promise, what, milliseconds = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function main() {
  // Without this ccxt refuses sockets that are not encrypted.
  await exchange.loadHttpProxyAgent();
  await exchange.loadMarkets();
  const market = exchange.market(symbol);
  done(`markets: ${Object.keys(exchange.markets).length}, ${symbol} step ${market.precision.amount}`);

  if (exchange.has.fetchTime) {
    const time = await exchange.fetchTime();
    assert.ok(Math.abs(time - Date.now()) < 5_000, `clock ${time}`);
    done('clock');
  }

  const book = await exchange.fetchOrderBook(symbol);
  assert.ok(book.bids[0][0] < book.asks[0][0]);
  const price = (book.bids[0][0] + book.asks[0][0]) / 2;
  done(`book: ${book.bids[0][0]} / ${book.asks[0][0]}`);

  const before = await exchange.fetchBalance();
  done(`balance: ${JSON.stringify(before.total)}`);

  if (steps.leverage) {
    await exchange.setLeverage(5, symbol, steps.leverage);
    done('leverage');
  }

  // Sockets first, so that what follows is seen on them.
  const ticker = within(exchange.watchTicker(symbol), 'a ticker');
  const orders = [];
  const watching = (async () => {
    for (;;) {
      orders.push(...(await exchange.watchOrders(steps.watchAll ? undefined : symbol)));
    }
  })();
  watching.catch((error) => console.error('orders are no longer watched:', error));
  const seen = async (id, status) => {
    const deadline = Date.now() + 10_000;
    for (;;) {
      const order = orders.find((one) => one.id === id && one.status === status);
      if (order) return order;
      assert.ok(Date.now() < deadline, `order ${id} was never pushed as ${status}: ${JSON.stringify(orders)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await ticker;
  done('ticker over a socket');
  await steps.ready?.(exchange);
  // ccxt does not tell when its login and its subscription to orders stand, and no venue repeats what came before.
  await new Promise((resolve) => setTimeout(resolve, 1_000));

  const low = exchange.priceToPrecision(symbol, price * 0.9);
  const resting = await exchange.createOrder(symbol, 'limit', 'buy', amount, Number(low), steps.order);
  assert.ok(resting.id);
  await seen(resting.id, 'open');
  done(`limit order ${resting.id} rests, and was pushed`);

  const fetched = await exchange.fetchOrder(resting.id, symbol);
  assert.equal(fetched.status, 'open');
  assert.equal(fetched.side, 'buy');
  assert.equal(fetched.amount, amount);
  const open = await exchange.fetchOpenOrders(symbol);
  assert.ok(open.some((one) => one.id === resting.id));
  done('it is read back, by itself and in the list');

  let live = resting.id;
  if (steps.amend !== false && (exchange.has.editOrder ?? true)) {
    const lower = Number(exchange.priceToPrecision(symbol, price * 0.88));
    const amended = await exchange.editOrder(live, symbol, 'limit', 'buy', amount, lower, steps.order);
    live = amended.id ?? live;
    const now = await exchange.fetchOrder(live, symbol);
    assert.equal(now.price, lower);
    done('amended');
  }

  await exchange.cancelOrder(live, symbol);
  await seen(live, 'canceled');
  done('cancelled, and pushed');

  const bought = await exchange.createOrder(symbol, 'market', 'buy', amount, steps.marketPrice ? price : undefined, steps.order);
  const filled = await seen(bought.id, 'closed');
  assert.equal(filled.filled, amount);
  done(`market order filled at ${filled.average}, and pushed`);

  const positions = await exchange.fetchPositions([symbol]);
  const position = positions.find((one) => one.symbol === symbol && one.contracts > 0);
  assert.equal(position?.side, 'long');
  assert.equal(position.contracts, amount);
  done(`position: long ${position.contracts}`);

  if (exchange.has.fetchMyTrades) {
    const trades = await exchange.fetchMyTrades(symbol);
    assert.ok(trades.some((one) => one.order === bought.id && one.side === 'buy'));
    done('its trade is in the list');
  }

  const sold = await exchange.createOrder(symbol, 'market', 'sell', amount, steps.marketPrice ? price : undefined, {
    ...steps.order,
    reduceOnly: true,
    ...steps.close,
  });
  await seen(sold.id, 'closed');
  const after = await exchange.fetchPositions([symbol]);
  assert.ok(!after.some((one) => one.symbol === symbol && one.contracts > 0), JSON.stringify(after));
  done('closed');

  // What is worth showing of one venue only.
  await steps.more?.({ exchange, price, within, done, assert });

  await assert.rejects(exchange.createOrder(symbol, 'market', 'buy', amount * 1_000_000, steps.marketPrice ? price : undefined, steps.order));
  done('an order beyond the margin is refused');

  const stranger = venues[venue](ccxt, url, { secret: steps.wrongSecret ?? 'wrong' }).exchange;
  stranger.setMarkets(Object.values(exchange.markets));
  if (steps.authentication !== false) {
    const signed = steps.signed ?? ((one) => one.fetchBalance());
    await assert.rejects(signed(stranger), steps.wrongError ?? ccxt.AuthenticationError);
    done('a wrong secret is refused');
  }
}

try {
  await main();
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
