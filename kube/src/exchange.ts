// One HTTP request and its answer, whole or line by line. Knows Status objects, not resources.
import http from 'node:http';
import https from 'node:https';
import type { Clock } from './clock.ts';
import { type Connection, CredentialSource } from './connection.ts';
import { type Asked, KubeError, type KubeErrorCode } from './error.ts';

export interface Question {
  asked: Asked;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query. */
  path: string;
  contentType?: string;
  body?: unknown;
}

/** Under the 90 s after which an API server drops idle connections, so that a request seldom meets one that just went. */
const idleConnectionMs = 60_000;
const maxConnections = 16;
/** A page of 500 objects or one watch event beyond this is not meant for us. */
const maxAnswerLength = 256 * 1024 * 1024;
const maxRetryAfterSeconds = 300;

/** All aborts come with the KubeError to throw as the signal's reason. */
export class Exchange {
  readonly #connection: Connection;
  readonly #userAgent: string;
  readonly #credentials: CredentialSource;
  readonly #request: typeof https.request;
  readonly #calls: http.Agent;
  /** Streams have connections of their own: they must not use up those of the calls. */
  readonly #streams: http.Agent;

  constructor(connection: Connection, userAgent: string, clock: Clock) {
    const { request, Agent } = connection.server.startsWith('https:') ? https : http;
    this.#connection = connection;
    this.#userAgent = userAgent;
    this.#credentials = new CredentialSource(connection, clock);
    this.#request = request;
    this.#calls = new Agent({ keepAlive: true, maxSockets: maxConnections, timeout: idleConnectionMs });
    this.#streams = new Agent({ keepAlive: false });
  }

  async json(question: Question, signal: AbortSignal): Promise<unknown> {
    return this.#guard(question, signal, async () => {
      const response = await this.#open(question, signal, this.#calls);
      return parse(question.asked, await text(question.asked, response));
    });
  }

  async *lines(question: Question, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#guard(question, signal, () => this.#open(question, signal, this.#streams));
    try {
      const next = splitLines(question.asked, response);
      for (;;) {
        const line = await this.#guard(question, signal, () => next.next());
        if (line.done) return;
        yield line.value;
      }
    } finally {
      response.destroy();
    }
  }

  close(): void {
    this.#calls.destroy();
  }

  /** Turns what goes wrong on the way into a KubeError. */
  async #guard<R>({ asked }: Question, signal: AbortSignal, act: () => Promise<R>): Promise<R> {
    try {
      signal.throwIfAborted();
      return await act();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof KubeError)) {
        const sentence = `the server at ${this.#connection.server} cannot be reached: ${(error as Error).message}`;
        throw new KubeError('KUBE_UNREACHABLE', sentence, { asked, cause: error });
      }
      if (error.code === 'KUBE_UNAUTHORIZED') this.#credentials.forget();
      throw error;
    }
  }

  /** Resolves with an answer of status 2xx. */
  async #open(question: Question, signal: AbortSignal, agent: http.Agent): Promise<http.IncomingMessage> {
    const { token, ...tls } = await this.#credentials.current();
    signal.throwIfAborted();
    const body = question.body === undefined ? undefined : Buffer.from(JSON.stringify(question.body));
    const headers = {
      accept: 'application/json',
      'user-agent': this.#userAgent,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': question.contentType, 'content-length': body.length }),
    };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const url = new URL(question.path, this.#connection.server);
      this.#request(url, { method: question.method, headers, agent, signal, ...tls })
        .on('response', resolve)
        .on('error', reject)
        .end(body);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const said = await text(question.asked, response);
    throw statusError(question.asked, tryParse(said) ?? { message: said.slice(0, 200) }, response);
  }
}

const codes: Partial<Record<number, KubeErrorCode>> = {
  401: 'KUBE_UNAUTHORIZED',
  403: 'KUBE_FORBIDDEN',
  404: 'KUBE_NOT_FOUND',
  409: 'KUBE_CONFLICT',
  410: 'KUBE_GONE',
  422: 'KUBE_INVALID',
  429: 'KUBE_TOO_MANY_REQUESTS',
};

/** The KubeError for a Status object (metav1.Status), given as an HTTP answer or as an ERROR event of a watch. */
export function statusError(asked: Asked, body: unknown, response?: http.IncomingMessage): KubeError {
  const said = (body ?? {}) as {
    code?: number;
    reason?: string;
    message?: string;
    details?: { retryAfterSeconds?: number };
  };
  const status = response?.statusCode ?? said.code ?? 0;
  const code =
    said.reason === 'AlreadyExists'
      ? 'KUBE_ALREADY_EXISTS'
      : (codes[status] ?? (status >= 500 ? 'KUBE_UNAVAILABLE' : 'KUBE_REFUSED'));
  const retryAfter = Number(response?.headers['retry-after'] ?? said.details?.retryAfterSeconds ?? Number.NaN);
  return new KubeError(code, said.message || `the server answered ${status}`, {
    asked,
    status,
    ...(said.reason !== undefined && { reason: said.reason }),
    // At least a second: a zero here would make every loop that honours it spin.
    ...((status === 429 || status >= 500) &&
      Number.isFinite(retryAfter) && { retryAfterMs: Math.min(Math.max(retryAfter, 1), maxRetryAfterSeconds) * 1000 }),
  });
}

async function text(asked: Asked, response: http.IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let whole = '';
  for await (const chunk of response as AsyncIterable<string>) {
    whole += chunk;
    if (whole.length > maxAnswerLength) throw tooLong(asked);
  }
  return whole;
}

async function* splitLines(asked: Asked, response: http.IncomingMessage): AsyncGenerator<string, void> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response as AsyncIterable<string>) {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      yield rest + chunk.slice(start, end);
      rest = '';
      start = end + 1;
    }
    rest += chunk.slice(start);
    if (rest.length > maxAnswerLength) throw tooLong(asked);
  }
  if (rest !== '') throw new KubeError('KUBE_BAD_ANSWER', 'the stream ended in the middle of a line', { asked });
}

function tooLong(asked: Asked): KubeError {
  return new KubeError('KUBE_BAD_ANSWER', `the answer is longer than ${maxAnswerLength} characters`, { asked });
}

function parse(asked: Asked, body: string): unknown {
  const value = tryParse(body);
  if (typeof value === 'object' && value !== null) return value;
  throw new KubeError('KUBE_BAD_ANSWER', `the answer is no JSON object: ${body.slice(0, 100)}`, { asked });
}

function tryParse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // the caller says what it expected instead
  }
}
