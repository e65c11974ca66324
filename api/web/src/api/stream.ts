/** The WebSocket: one connection for the whole page, reconnected for as long as anyone listens. */
import { useEffect, useRef } from 'preact/hooks';
import { createStore } from '../store';
import { streamUrl, type Schemas } from './client';

export type StreamMessage = Schemas['StreamMessage'];

/** What listeners are told: a message of their topic, or that they may have missed some and should read again. */
export type StreamEvent = { readonly kind: 'message'; readonly message: StreamMessage } | { readonly kind: 'resync' };

type Listener = (event: StreamEvent) => void;

export type Connection = 'idle' | 'connecting' | 'live' | 'lost';

/** The part of `WebSocket` that is used; tests bring their own. */
export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
/** Until the server has said how often its heart beats. */
const DEFAULT_HEARTBEAT_S = 30;

export class Stream {
  readonly connection = createStore<Connection>('idle');
  private readonly topics = new Map<string, Set<Listener>>();
  private socket: Socket | undefined;
  private open = false;
  private everOpen = false;
  /** What this connection sends. */
  private readonly confirmed = new Set<string>();
  private attempts = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private heartbeatSeconds = DEFAULT_HEARTBEAT_S;

  constructor(private readonly connect: () => Socket) {}

  subscribe(topic: string, listener: Listener): () => void {
    const listeners = this.topics.get(topic) ?? new Set<Listener>();
    const isNew = listeners.size === 0;
    listeners.add(listener);
    this.topics.set(topic, listeners);
    if (this.socket === undefined) this.start();
    else if (isNew && this.open) this.say({ type: 'subscribe', topics: [topic] });
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.topics.get(topic) !== listeners) return;
      this.topics.delete(topic);
      this.confirmed.delete(topic);
      if (this.open) this.say({ type: 'unsubscribe', topics: [topic] });
      if (this.topics.size === 0) this.stop();
    };
  }

  private say(request: Schemas['StreamRequest']): void {
    this.socket?.send(JSON.stringify(request));
  }

  private start(): void {
    clearTimeout(this.retry);
    this.connection.set('connecting');
    const socket = this.connect();
    this.socket = socket;
    socket.onopen = () => {
      this.open = true;
      this.confirmed.clear();
      this.attempts = 0;
      this.feedWatchdog();
      this.say({ type: 'subscribe', topics: [...this.topics.keys()] });
    };
    socket.onmessage = (event) => {
      this.feedWatchdog();
      this.receive(event.data);
    };
    socket.onclose = () => this.lost(socket);
    socket.onerror = () => undefined;
    this.feedWatchdog();
  }

  private stop(): void {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    const { socket } = this;
    this.socket = undefined;
    this.open = false;
    this.everOpen = false;
    this.connection.set('idle');
    socket?.close();
  }

  private lost(socket: Socket): void {
    if (this.socket !== socket) return;
    clearTimeout(this.watchdog);
    this.socket = undefined;
    this.open = false;
    if (this.topics.size === 0) return;
    this.connection.set('lost');
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts);
    this.attempts += 1;
    // A little chance, so that all pages do not come back in the same instant.
    this.retry = setTimeout(() => this.start(), wait * (0.75 + Math.random() * 0.5));
  }

  /** A connection is alive only while something arrives on it. */
  private feedWatchdog(): void {
    clearTimeout(this.watchdog);
    const { socket } = this;
    this.watchdog = setTimeout(() => {
      if (socket === undefined || this.socket !== socket) return;
      this.lost(socket);
      socket.close();
    }, this.heartbeatSeconds * 2000);
  }

  private receive(data: unknown): void {
    if (typeof data !== 'string') return;
    let message: StreamMessage;
    try {
      message = JSON.parse(data) as StreamMessage;
    } catch {
      return;
    }
    switch (message.type) {
      case 'hello':
        this.heartbeatSeconds = Math.max(1, message.heartbeatSeconds);
        return;
      case 'subscribed':
        this.connection.set('live');
        this.confirm(message.topics);
        return;
      case 'lagged':
      case 'reverted':
      case 'resync':
        this.tellAll({ kind: 'resync' });
        return;
      case 'heartbeat':
      case 'error':
        return;
      default:
        for (const listener of this.topics.get(message.topic) ?? []) listener({ kind: 'message', message });
    }
  }

  /**
   * What happened before a topic was taken up was not sent: its listeners read again, and nobody else's do. The first topics
   * of all are the exception: what is read as the page opens is as new as the connection.
   */
  private confirm(topics: readonly string[]): void {
    for (const topic of topics) {
      if (this.confirmed.has(topic)) continue;
      this.confirmed.add(topic);
      if (this.everOpen) for (const listener of [...(this.topics.get(topic) ?? [])]) listener({ kind: 'resync' });
    }
    this.everOpen = true;
  }

  private tellAll(event: StreamEvent): void {
    for (const listeners of this.topics.values()) for (const listener of [...listeners]) listener(event);
  }
}

let shared: Stream | undefined;

export function stream(): Stream {
  shared ??= new Stream(() => new WebSocket(streamUrl(location)) as unknown as Socket);
  return shared;
}

/** Listens to a topic for as long as the component is shown. */
export function useTopic(topic: string | undefined, listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    if (topic === undefined) return undefined;
    return stream().subscribe(topic, (event) => latest.current(event));
  }, [topic]);
}
