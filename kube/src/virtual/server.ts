// An API server in this process that speaks the real protocol on a loopback port, and fails as tests tell it to.
// What it knows, and what it does not cover, is in store.ts.
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../clock.ts';
import type { Connection } from '../connection.ts';
import type { Asked } from '../error.ts';
import { events } from '../event-recorder.ts';
import { leases } from '../lease.ts';
import type { KubeObject, ObjectName } from '../object.ts';
import { type Refused, Refusal, statusObject } from './refusal.ts';
import { type Received, bodyFor, bodyOf, readRequest, writerOf } from './request.ts';
import { type Predicate, fieldPredicate, labelPredicate } from './selection.ts';
import { type ServedResource, Store } from './store.ts';
import { type StreamFault, WatchStream } from './watch-stream.ts';

export interface VirtualServerOptions {
  /** Leases and Events are served anyway. */
  resources?: readonly ServedResource[];
  /** The only bearer token let in; without it everybody is. Can be changed later. */
  token?: string;
  /** PEM; makes it speak https. */
  tls?: { cert: string; key: string };
  /** For bookmarks, timeoutSeconds and times written into objects. */
  clock?: Clock;
}

/**
 * How a request fails: with a status; `reset` before it is acted upon; `lostAnswer`: acted upon, then reset;
 * `silence`: nothing more is heard; `garbage`: an answer that is no JSON.
 */
export type Fault = Refused | 'reset' | 'lostAnswer' | 'silence' | 'garbage';

/** Which requests fail, and how many of them (default 1). */
export interface FaultMatch {
  verb?: Asked['verb'];
  plural?: string;
  times?: number;
}

const keptRequests = 10_000;

interface Call {
  served: ServedResource;
  asked: Received;
  at: ObjectName;
}

export class VirtualServer {
  /** Reads and writes past HTTP, as some other client of the cluster would. */
  readonly store: Store;
  /** The last requests, oldest first. */
  readonly requests: Received[] = [];
  token: string | undefined;
  readonly #server: http.Server;
  readonly #clock: Clock;
  readonly #tls: VirtualServerOptions['tls'];
  readonly #faults: { fault: Fault; match: FaultMatch; left: number }[] = [];
  readonly #watches = new Set<WatchStream>();
  /** Objects of lists that are being read page by page, by continue token. */
  readonly #pages = new Map<string, { items: KubeObject[]; version: string }>();
  #pagesMade = 0;

  constructor({ resources = [], token, tls, clock = systemClock }: VirtualServerOptions = {}) {
    this.store = new Store([leases, events, ...resources], clock);
    this.token = token;
    this.#tls = tls;
    this.#clock = clock;
    const handle = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      void this.#handle(request, response);
    };
    this.#server = tls ? https.createServer(tls, handle) : http.createServer(handle);
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.disturbWatches('reset');
    this.#server.closeAllConnections();
    await closed;
  }

  /** What to give to `connect`. */
  get connection(): Connection {
    const { port } = this.#server.address() as AddressInfo;
    return {
      server: `${this.#tls ? 'https' : 'http'}://127.0.0.1:${port}`,
      ...(this.#tls && { ca: this.#tls.cert }),
      ...(this.token !== undefined && { token: this.token }),
    };
  }

  /** Streams open now. A client that was stopped must leave none. */
  openWatches(plural?: string): number {
    return this.#chosen(plural).length;
  }

  /** Makes the next requests that match fail. */
  fail(fault: Fault, match: FaultMatch = {}): void {
    this.#faults.push({ fault, match, left: match.times ?? 1 });
  }

  /** Faults not yet met by a request are forgotten. */
  heal(): void {
    this.#faults.length = 0;
  }

  disturbWatches(how: StreamFault, plural?: string): void {
    for (const watch of this.#chosen(plural)) watch.fail(how);
  }

  /** Sends a bookmark now, as it does by itself every minute. */
  bookmark(plural?: string): void {
    for (const watch of this.#chosen(plural)) watch.bookmark();
  }

  #chosen(plural: string | undefined): WatchStream[] {
    return [...this.#watches].filter((watch) => plural === undefined || watch.served.plural === plural);
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      const asked = await readRequest(request);
      this.requests.push(asked);
      if (this.requests.length > keptRequests) this.requests.shift();
      const fault = this.#faultFor(asked);
      if (fault === undefined || fault === 'lostAnswer') this.#serve(asked, response, fault === 'lostAnswer');
      else this.#disturb(asked, response, fault);
    } catch (error) {
      answerRefused(response, error);
    }
  }

  #serve(asked: Received, response: http.ServerResponse, losesAnswer = false): void {
    if (this.token !== undefined && asked.token !== this.token) throw new Refusal(401, 'Unauthorized');
    const served = this.store.served(asked);
    if (asked.verb === 'watch') {
      this.#watch(served, asked, response);
      return;
    }
    const at = { name: asked.name ?? '', ...(asked.namespace !== undefined && { namespace: asked.namespace }) };
    const result = this.#actions[asked.verb]({ served, asked, at });
    if (losesAnswer) response.socket?.resetAndDestroy();
    else answer(response, asked.verb === 'create' ? 201 : 200, result);
  }

  #disturb(asked: Received, response: http.ServerResponse, fault: Exclude<Fault, 'lostAnswer'>): void {
    if (fault === 'reset') response.socket?.resetAndDestroy();
    else if (fault === 'garbage') response.end('<html>not for you</html>\n');
    else if (typeof fault === 'object') answer(response, fault.status, statusObject(fault), fault.retryAfterSeconds);
    else if (asked.verb === 'watch') this.#watch(this.store.served(asked), asked, response).fail('silence');
  }

  #faultFor({ verb, plural }: Received): Fault | undefined {
    const found = this.#faults.find(
      ({ match, left }) => left > 0 && (match.verb ?? verb) === verb && (match.plural ?? plural) === plural,
    );
    if (found) found.left--;
    return found?.fault;
  }

  /** What each verb but watch does; the answer is the body. */
  readonly #actions: Record<Exclude<Asked['verb'], 'watch'>, (call: Call) => object> = {
    get: ({ served, at }) => this.store.get(served, at),
    list: ({ served, asked }) => this.#list(served, asked),
    create: ({ served, asked, at }) => this.store.create(served, bodyFor(served, asked, at), writerOf(asked)),
    patch: ({ served, asked, at }) => this.store.patch(served, at, bodyOf(asked), writerOf(asked)),
    apply: ({ served, asked, at }) => {
      const { fieldManager, force } = asked.query;
      if (!fieldManager) throw new Refusal(422, 'fieldManager: Required value: is required for apply patch');
      return this.store.apply(served, bodyFor(served, asked, at), force === 'true', writerOf(asked));
    },
    delete: ({ served, asked, at }) => {
      this.store.delete(served, at, (asked.body as { preconditions?: object } | undefined)?.preconditions);
      return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };
    },
  };

  #list(served: ServedResource, asked: Received): object {
    const { continue: token, limit } = asked.query;
    const begun = token === undefined ? undefined : this.#pages.get(token);
    if (token !== undefined && !begun) throw new Refusal(410, 'The provided continue parameter is too old');
    const { items, version } = begun ?? {
      items: this.store.list(served).filter(predicateOf(served, asked)),
      version: String(this.store.version),
    };
    const size = limit ? Number(limit) : items.length;
    const rest = items.slice(size);
    const next = rest.length > 0 ? `page-${++this.#pagesMade}` : undefined;
    if (next) this.#pages.set(next, { items: rest, version });
    return {
      kind: `${served.kind}List`,
      apiVersion: served.apiVersion,
      metadata: { resourceVersion: version, ...(next && { continue: next, remainingItemCount: rest.length }) },
      items: items.slice(0, size).map((object) => asListed(served, object)),
    };
  }

  #watch(served: ServedResource, asked: Received, response: http.ServerResponse): WatchStream {
    const on = { store: this.store, served, clock: this.#clock };
    const watch = new WatchStream(on, predicateOf(served, asked), asked.query, response);
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    return watch;
  }
}

/** A virtual server that listens. */
export async function startVirtualServer(options: VirtualServerOptions = {}): Promise<VirtualServer> {
  const server = new VirtualServer(options);
  await server.listen();
  return server;
}

function predicateOf(served: ServedResource, { namespace, query }: Received): Predicate {
  const selectable = ['metadata.name', 'metadata.namespace', ...(served.fieldSelectors ?? [])];
  const byLabel = labelPredicate(query['labelSelector'] ?? null);
  const byField = fieldPredicate(query['fieldSelector'] ?? null, selectable);
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) && byLabel(object) && byField(object);
}

/** Items of built-in lists come without kind and apiVersion, those of custom resources with them. */
function asListed({ apiVersion }: ServedResource, object: KubeObject): object {
  const isBuiltIn = !apiVersion.includes('.') || apiVersion.includes('.k8s.io/');
  if (!isBuiltIn) return object;
  const { apiVersion: _, kind: __, ...rest } = object;
  return rest;
}

function answerRefused(response: http.ServerResponse, error: unknown): void {
  const bug = { status: 500, message: (error as Error).stack ?? String(error) };
  const refused = error instanceof Refusal ? error.refused : bug;
  answer(response, refused.status, statusObject(refused));
}

function answer(response: http.ServerResponse, status: number, body: object, retryAfterSeconds?: number): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(JSON.stringify(body));
}
