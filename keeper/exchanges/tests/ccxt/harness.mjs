// Asks ccxt, a client nobody here wrote, for the requests it would send, so that ours can be compared with them.
// Nothing goes over a network: `fetch` is replaced. Each venue's file calls `run` with its cases.
//
// Left out on purpose: ccxt adds ids of its own to orders, so that venues pay its authors a share. Where a venue's file
// switches those off it says so.

export const TIMESTAMP_MS = 1700000000000;

export const CREDENTIALS = { key: 'test_api_key', secret: 'test_secret', passphrase: 'test_passphrase' };

class Captured extends Error {}

/// A perpetual in ccxt's own shape. `step` and `tick` are numbers as ccxt wants them; `size` the contract size.
export function perpetual({ id, base, quote, settle = quote, step, tick, size = 1, linear = true, info = {}, ...more }) {
  return {
    id,
    lowercaseId: id.toLowerCase(),
    symbol: `${base}/${quote}:${settle}`,
    base,
    quote,
    settle,
    baseId: base,
    quoteId: quote,
    settleId: settle,
    type: 'swap',
    spot: false,
    margin: false,
    swap: true,
    future: false,
    option: false,
    active: true,
    contract: true,
    linear,
    inverse: !linear,
    contractSize: size,
    precision: { amount: step, price: tick },
    limits: { amount: {}, price: {}, cost: {}, leverage: {} },
    info,
    ...more,
  };
}

function offline(exchange, markets) {
  exchange.setMarkets(markets);
  exchange.enableRateLimit = false;
  exchange.milliseconds = () => TIMESTAMP_MS;
  exchange.seconds = () => TIMESTAMP_MS / 1000;
  exchange.microseconds = () => TIMESTAMP_MS * 1000;
  exchange.nonce = () => TIMESTAMP_MS;
  exchange.uuid = () => '00000000-0000-4000-8000-000000000000';
  exchange.uuid22 = () => '0000000000000000000000';
  exchange.uuid16 = () => '0000000000000000';
}

/// Prints one JSON line per case: what to give to `exchanges sign`, and what ccxt sends.
/// A case: { name, operation, parameters, theirs: async (exchange) => …, generation?, instruments?, replies?, differs? }.
/// `replies` are the JSON bodies ccxt is answered with, in order; the request after the last of them is compared, or all
/// of them with `all: true`. `differs` names members that are left out of the comparison, each with the reason:
/// { headers: { name: reason }, query: { name: reason }, body: { name: reason } }.
export async function run({ venue, exchange, markets, cases, credentials = CREDENTIALS, generation, instruments }) {
  offline(exchange, markets);
  for (const one of cases) {
    const seen = [];
    const replies = [...(one.replies ?? [])];
    exchange.fetch = async (url, method = 'GET', headers = {}, body = undefined) => {
      seen.push({ method, url, headers: headers ?? {}, body: body ?? '' });
      if (replies.length === 0 && !one.all) {
        throw new Captured();
      }
      return replies.length > 0 ? replies.shift() : {};
    };
    try {
      await one.theirs(exchange);
    } catch (error) {
      if (!(error instanceof Captured) && seen.length === 0) {
        throw new Error(`${venue} ${one.name}: ccxt sent nothing`, { cause: error });
      }
    }
    if (seen.length === 0) {
      throw new Error(`${venue} ${one.name}: ccxt sent nothing`);
    }
    console.log(
      JSON.stringify({
        name: one.name,
        sign: {
          venue,
          credentials,
          timestamp_ms: TIMESTAMP_MS,
          operation: one.operation,
          parameters: one.parameters ?? {},
          generation: one.generation ?? generation,
          instruments: one.instruments ?? instruments,
          endpoint: one.endpoint,
        },
        expected: one.all ? seen : [seen[seen.length - 1]],
        differs: one.differs ?? {},
      }),
    );
  }
}
