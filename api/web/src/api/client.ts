/** HTTP to the API, typed by its OpenAPI document (`schema.d.ts`, made by `npm run web:types`). */
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Problem = Schemas['Problem'];

const BASE = '/api/v1';

/** How long a reply may take before the page says that none came. */
const TIMEOUT_MS = 20_000;

type Method = 'get' | 'post' | 'put' | 'delete';
type PathWith<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never;
}[keyof paths];

type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never;
type JsonOf<R> = R extends { content: { 'application/json': infer T } } ? T : never;
type Success<R> = R extends { responses: infer S } ? JsonOf<S[Extract<keyof S, 200 | 201 | 202>]> : never;
type ParametersOf<O> = O extends { parameters: infer P } ? P : never;
type QueryOf<O> = ParametersOf<O> extends { query?: infer Q } ? Exclude<Q, undefined> : never;
type PathOf<O> = ParametersOf<O> extends { path: infer V } ? V : never;
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer B } } } ? B : never;

type Options<O> = {
  readonly signal?: AbortSignal | undefined;
  readonly query?: QueryOf<O> | undefined;
} & ([PathOf<O>] extends [never] ? object : { readonly path: PathOf<O> }) &
  ([BodyOf<O>] extends [never] ? object : { readonly body: BodyOf<O> });

/** The API refused, failed, or did not answer. `message` is for the person at the screen. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    message: string,
    /** HTTP status; 0 when there was no reply. */
    readonly status: number,
    readonly problem?: Problem,
  ) {
    super(message);
  }

  get notFound(): boolean {
    return this.status === 404;
  }
}

/** One text out of problem details: what happened, which parts are wrong, when to try again. */
export function explain(problem: Problem): string {
  const parts = [problem.detail ?? problem.title, ...(problem.errors ?? []).map((error) => error.detail)];
  if (problem.retryAfter !== undefined) parts.push(`Try again in ${problem.retryAfter} s.`);
  return parts
    .map((part) => part.trim())
    .filter((part, index, all) => part !== '' && all.indexOf(part) === index)
    .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
    .join(' ');
}

/** Fills `{name}` in a path and appends the query; what is undefined is left out. */
export function url(
  template: string,
  path: Readonly<Record<string, unknown>> = {},
  query: Readonly<Record<string, unknown>> = {},
): string {
  const filled = template.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(String(path[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? filled : `${filled}?${text}`;
}

async function send(address: string, init: RequestInit, signal: AbortSignal | undefined): Promise<unknown> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let reply: Response;
  try {
    reply = await fetch(address, { ...init, signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError(
      timeout.aborted ? 'The API took too long to answer.' : 'The API does not answer. Check your connection.',
      0,
    );
  }
  const text = await reply.text();
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    throw new ApiError(`The API answered with something unreadable (status ${reply.status}).`, reply.status);
  }
  if (reply.ok) return body;
  if (typeof body === 'object' && body !== null && 'title' in body) {
    const problem = body as Problem;
    throw new ApiError(explain(problem), reply.status, problem);
  }
  throw new ApiError(`The API answered with status ${reply.status}.`, reply.status);
}

export async function get<P extends PathWith<'get'>>(
  path: P,
  options: Options<Operation<P, 'get'>>,
): Promise<Success<Operation<P, 'get'>>> {
  const { path: values, query } = options as { path?: Record<string, unknown>; query?: Record<string, unknown> };
  const init: RequestInit = { headers: { accept: 'application/json' } };
  return (await send(url(path, values, query), init, options.signal)) as Success<Operation<P, 'get'>>;
}

function sendBody(method: string, path: string, options: unknown): Promise<unknown> {
  const { path: values, body, signal } = options as { path?: Record<string, unknown>; body?: unknown; signal?: AbortSignal };
  const headers = { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  return send(url(path, values), { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }, signal);
}

export async function post<P extends PathWith<'post'>>(
  path: P,
  options: Options<Operation<P, 'post'>>,
): Promise<Success<Operation<P, 'post'>>> {
  return (await sendBody('POST', path, options)) as Success<Operation<P, 'post'>>;
}

export async function put<P extends PathWith<'put'>>(
  path: P,
  options: Options<Operation<P, 'put'>>,
): Promise<Success<Operation<P, 'put'>>> {
  return (await sendBody('PUT', path, options)) as Success<Operation<P, 'put'>>;
}

/** For what is answered by 204: nothing to read. */
export async function remove<P extends PathWith<'delete'>>(path: P, options: Options<Operation<P, 'delete'>>): Promise<void> {
  await sendBody('DELETE', path, options);
}

export function streamUrl(location: Location): string {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${BASE}/stream`;
}
