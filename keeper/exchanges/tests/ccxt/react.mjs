// The peer of `exchanges bench fill_to_order_latency`: ccxt.pro answers each fill of a simulated Binance account with an
// order far from the market. node react.mjs <http://host:port> <key>

import ccxt from 'ccxt';
import { binance } from './venues.mjs';

const [, , url, apiKey] = process.argv;
const { exchange } = binance(ccxt, url, { apiKey });
await exchange.loadHttpProxyAgent();
await exchange.loadMarkets();
const symbol = 'ETH/USDT:USDT';
const seen = new Set();
for (;;) {
  const trades = await exchange.watchMyTrades(symbol);
  for (const trade of trades) {
    if (seen.has(trade.id)) continue;
    seen.add(trade.id);
    // Not waited for: the next fill must not wait for the answer to this one.
    exchange
      .createOrder(symbol, 'limit', trade.side, trade.amount, trade.side === 'buy' ? 1000 : 10000)
      .catch((error) => console.error(error));
  }
}
