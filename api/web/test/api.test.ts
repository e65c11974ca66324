import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { explain, url, type Problem, type Schemas } from '../src/api/client';
import { Stream, type Socket, type StreamEvent } from '../src/api/stream';
import { mergePoints } from '../src/chart/curve';
import { sortStrategies } from '../src/units/sort';
import { sparkPath } from '../src/ui/sparkline';

const problem: Problem = { type: '/problems/x', title: 'The mandate is not accepted', status: 422, instance: '/', code: 'x', errors: [] };

describe('problems in words', () => {
  test('detail before title, then each field, then when to try again', () => {
    expect(explain(problem)).toBe('The mandate is not accepted.');
    expect(explain({ ...problem, detail: 'Two bounds are wrong', errors: [{ field: '/a', code: 'c', detail: 'Sign at most 1,000 bps.' }], retryAfter: 3 })).toBe(
      'Two bounds are wrong. Sign at most 1,000 bps. Try again in 3 s.',
    );
  });
  test('nothing is said twice', () => {
    expect(explain({ ...problem, detail: 'No.', errors: [{ field: '/a', code: 'c', detail: 'No.' }] })).toBe('No.');
  });
});

test('addresses are filled and escaped', () => {
  expect(url('/s/{id}/b/{vault}', { id: '1/2', vault: '0x0' }, { points: 5, from: undefined, cursor: null, q: 'a b' })).toBe('/s/1%2F2/b/0x0?points=5&q=a+b');
});

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  readonly sent: Schemas['StreamRequest'][] = [];
  closed = false;
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Schemas['StreamRequest']);
  }
  close(): void {
    this.closed = true;
    this.onclose?.();
  }
  say(message: Schemas['StreamMessage'] | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
}

describe('the stream', () => {
  let sockets: FakeSocket[];
  let stream: Stream;
  const last = (): FakeSocket => {
    const socket = sockets.at(-1);
    if (socket === undefined) throw new Error('no socket');
    return socket;
  };
  /** As the server does: every request is answered by all topics that are sent from now on. */
  const confirm = (): void => {
    const topics = new Set<string>();
    for (const request of last().sent) if (request.type !== 'ping') for (const topic of request.topics) topics[request.type === 'subscribe' ? 'add' : 'delete'](topic);
    last().say({ type: 'subscribed', topics: [...topics] });
  };
  const accept = (): void => {
    last().onopen?.();
    last().say({ type: 'hello', heartbeatSeconds: 5, version: '0' });
    confirm();
  };
  const nav = (topic: string): Schemas['StreamMessage'] => ({ type: 'nav', topic, strategyId: '1', vault: '0x0', point: { vault: '0x0', index: 1, position: 1, block: 1, time: '', navIndex: '1', totalEquity: '1', finality: 'pending' } });

  beforeEach(() => {
    vi.useFakeTimers();
    sockets = [];
    stream = new Stream(() => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    });
  });
  afterEach(() => vi.useRealTimers());

  test('one connection, topics subscribed once, messages to their listeners only', () => {
    const [a, b]: [StreamEvent[], StreamEvent[]] = [[], []];
    stream.subscribe('strategy:1', (event) => a.push(event));
    stream.subscribe('strategy:2', (event) => b.push(event));
    accept();
    expect(sockets).toHaveLength(1);
    expect(last().sent).toEqual([{ type: 'subscribe', topics: ['strategy:1', 'strategy:2'] }]);
    expect(stream.connection.get()).toBe('live');
    last().say(nav('strategy:1'));
    expect(a).toHaveLength(1);
    expect(b).toHaveLength(0);
    stream.subscribe('strategy:1', () => undefined);
    expect(last().sent).toHaveLength(1);
  });

  test('closes when nobody listens any more', () => {
    const stop = stream.subscribe('strategies', () => undefined);
    accept();
    stop();
    expect(last().closed).toBe(true);
    expect(stream.connection.get()).toBe('idle');
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(1);
  });

  test('comes back after a loss, subscribes again, and tells everyone to read again', () => {
    const events: StreamEvent[] = [];
    stream.subscribe('strategies', (event) => events.push(event));
    accept();
    expect(events).toEqual([]);
    last().close();
    expect(stream.connection.get()).toBe('lost');
    vi.advanceTimersByTime(1000);
    expect(sockets).toHaveLength(2);
    accept();
    expect(last().sent).toEqual([{ type: 'subscribe', topics: ['strategies'] }]);
    expect(events).toEqual([{ kind: 'resync' }]);
  });

  test('a topic that is added later makes its own listeners read again, and nobody else’s', () => {
    const first: StreamEvent[] = [];
    const second: StreamEvent[] = [];
    stream.subscribe('strategies', (event) => first.push(event));
    accept();
    stream.subscribe('strategy:1', (event) => second.push(event));
    confirm();
    expect([first, second]).toEqual([[], [{ kind: 'resync' }]]);
  });

  test('a connection on which nothing arrives is dead, however open it looks', () => {
    stream.subscribe('strategies', () => undefined);
    accept();
    vi.advanceTimersByTime(9000);
    last().say({ type: 'heartbeat', time: '', head: null });
    vi.advanceTimersByTime(9000);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(3000);
    expect(sockets).toHaveLength(2);
    expect(sockets[0]?.closed).toBe(true);
  });

  test('waits longer after each failure, and not for ever', () => {
    stream.subscribe('strategies', () => undefined);
    for (let attempt = 0; attempt < 12; attempt += 1) {
      last().close();
      vi.advanceTimersByTime(20_000);
    }
    expect(sockets).toHaveLength(13);
  });

  test.each(['lagged', 'reverted', 'resync'] as const)('%s means: read again', (type) => {
    const events: StreamEvent[] = [];
    stream.subscribe('strategies', (event) => events.push(event));
    accept();
    last().say(JSON.stringify({ type, dropped: 1, fromBlock: 1 }));
    expect(events).toEqual([{ kind: 'resync' }]);
  });

  test('what is not JSON is ignored', () => {
    stream.subscribe('strategies', () => undefined);
    accept();
    expect(() => last().say('{')).not.toThrow();
  });
});

test('points merge in the order of the record, without doubles', () => {
  const point = (index: number, navIndex = '1'): Schemas['NavPoint'] => ({ vault: '0x0', index, position: index, block: 1, time: '', navIndex, totalEquity: '1', finality: 'pending' });
  expect(mergePoints([point(1), point(3)], [point(2), point(3, '2')]).map(({ index, navIndex }) => [index, navIndex])).toEqual([
    [1, '1'],
    [2, '1'],
    [3, '2'],
  ]);
});

test('a figure that is not defined sorts last in either direction', () => {
  const row = (id: string, value: string | null): Schemas['Strategy'] => ({ id, totalEquity: '0.000000', followers: 0, statistics: { totalReturn: { value }, maxDrawdown: { value } } }) as unknown as Schemas['Strategy'];
  const rows = [row('1', null), row('2', '-0.1'), row('3', '0.25'), row('4', '0.0500000000000000000001')];
  expect(sortStrategies(rows, 'return', true).map(({ id }) => id)).toEqual(['3', '4', '2', '1']);
  expect(sortStrategies(rows, 'return', false).map(({ id }) => id)).toEqual(['2', '4', '3', '1']);
  expect(sortStrategies(rows, 'equity', true).map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
});

test('a sparkline of nothing, of one point and of a flat line is drawn', () => {
  expect(sparkPath([]).line).toBe('');
  expect(sparkPath([{ time: 1, value: 1 }]).line).toBe('M0 18.0L132.0 18.0'.replace('L', 'M'));
  expect(sparkPath([{ time: 0, value: 1 }, { time: 1, value: 1 }]).line).toBe('M0.0 18.0L132.0 18.0');
  expect(sparkPath([{ time: 0, value: 1 }, { time: 1, value: 2 }]).line).toBe('M0.0 34.0L132.0 2.0');
});
