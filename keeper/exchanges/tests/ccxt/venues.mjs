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

export function bitget(ccxt, url, more = {}) {
  const exchange = client(ccxt.pro.bitget, url, {
    hosts: ['https://api.{hostname}', 'wss://ws.bitget.com'],
    options: { fetchMarkets: { types: ['swap'] }, defaultType: 'swap' },
    ...more,
  });
  exchange.has.fetchCurrencies = false;
  return { exchange, symbol: 'BTC/USDT:USDT', amount: 0.0002, steps: { leverage: {} } };
}
