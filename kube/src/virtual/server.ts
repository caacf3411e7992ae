// An API server in this process that speaks the real protocol on a loopback port, and fails as tests tell it to.
// What it knows, and what it does not cover, is in store.ts.
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Clock, systemClock } from '../clock.ts';
import type { Connection } from '../connection.ts';
import type { Asked } from '../error.ts';
import { events } from '../event-recorder.ts';
import { leases } from '../lease.ts';
import type { KubeObject, ObjectName } from '../object.ts';
import type { Json } from './fields.ts';
import { type Refused, Refusal, statusObject } from './refusal.ts';
import { type Predicate, fieldPredicate, labelPredicate } from './selection.ts';
import { type ServedResource, Store, type StoredChange, type Writer } from './store.ts';

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

/** One request as it came. */
export interface Received {
  verb: Asked['verb'];
  plural: string;
  namespace?: string;
  name?: string;
  subresource?: string;
  query: Record<string, string>;
  userAgent: string;
  body: unknown;
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

/** What happens to streams that are open: a clean end, a reset connection, no word any more, or an ERROR event. */
export type StreamFault = 'end' | 'reset' | 'silence' | Refused;

const bookmarkMs = 60_000;
const keptRequests = 10_000;

interface Call {
  served: ServedResource;
  asked: Received;
  at: ObjectName;
}

interface OpenWatch {
  plural: string;
  send(type: string, object: unknown): void;
  bookmark(): void;
  fail(how: StreamFault): void;
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
  readonly #watches = new Set<OpenWatch>();
  /** Objects of lists that are being read page by page, by continue token. */
  readonly #pages = new Map<string, { items: KubeObject[]; version: string }>();

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

  #chosen(plural: string | undefined): OpenWatch[] {
    return [...this.#watches].filter((watch) => plural === undefined || watch.plural === plural);
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      const body = await text(request);
      const target = new URL(request.url ?? '', 'http://localhost');
      const asked = readRequest(request, target, body);
      this.requests.push(asked);
      if (this.requests.length > keptRequests) this.requests.shift();
      const fault = this.#faultFor(asked);
      if (fault === 'reset') response.socket?.resetAndDestroy();
      else if (fault === 'garbage') response.end('<html>not for you</html>');
      else if (fault === 'silence' && asked.verb !== 'watch') return;
      else if (typeof fault === 'object') answer(response, fault.status, statusObject(fault), fault.retryAfterSeconds);
      else {
        this.#authenticate(request);
        const served = this.store.served(parsePath(target.pathname));
        if (asked.verb === 'watch') this.#watch(served, asked, response, fault === 'silence');
        else {
          const at = { name: asked.name ?? '', ...(asked.namespace !== undefined && { namespace: asked.namespace }) };
          const result = this.#actions[asked.verb]({ served, asked, at });
          if (fault === 'lostAnswer') response.socket?.resetAndDestroy();
          else answer(response, asked.verb === 'create' ? 201 : 200, result);
        }
      }
    } catch (error) {
      const refused =
        error instanceof Refusal ? error.refused : { status: 500, message: (error as Error).stack ?? String(error) };
      answer(response, refused.status, statusObject(refused), refused.retryAfterSeconds);
    }
  }

  #faultFor({ verb, plural }: Received): Fault | undefined {
    const found = this.#faults.find(
      ({ match, left }) => left > 0 && (match.verb ?? verb) === verb && (match.plural ?? plural) === plural,
    );
    if (found) found.left--;
    return found?.fault;
  }

  #authenticate(request: http.IncomingMessage): void {
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      throw new Refusal(401, 'Unauthorized');
    }
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
    const next = rest.length > 0 ? `${version}-${rest.length}-${this.#pages.size}` : undefined;
    if (next) this.#pages.set(next, { items: rest, version });
    return {
      kind: `${served.kind}List`,
      apiVersion: served.apiVersion,
      metadata: { resourceVersion: version, ...(next && { continue: next, remainingItemCount: rest.length }) },
      items: items.slice(0, size).map((object) => asListed(served, object)),
    };
  }

  /** Lists that are being read can not be continued: 410, as when a client takes too long. */
  forgetPages(): void {
    this.#pages.clear();
  }

  #watch(served: ServedResource, asked: Received, response: http.ServerResponse, silent: boolean): void {
    const { resourceVersion = '', timeoutSeconds, allowWatchBookmarks } = asked.query;
    const selects = predicateOf(served, asked);
    const sendLine = (type: string, object: unknown): void => {
      if (!muted) response.write(`${JSON.stringify({ type, object })}\n`);
    };
    let muted = silent;
    const cancels: (() => void)[] = [];
    const onChange = (change: StoredChange): void => {
      if (change.resource === served) passOn(change, selects, sendLine);
    };
    const watch: OpenWatch = {
      plural: served.plural,
      send: sendLine,
      bookmark: () => {
        const { apiVersion, kind } = served;
        const metadata = { resourceVersion: String(this.store.version) };
        if (allowWatchBookmarks === 'true') sendLine('BOOKMARK', { apiVersion, kind, metadata });
      },
      fail: (how) => {
        if (how === 'reset') response.socket?.resetAndDestroy();
        else if (how === 'silence') muted = true;
        else {
          if (how !== 'end') sendLine('ERROR', statusObject(how));
          response.end();
        }
      },
    };
    const bookmarkAgain = (): void => {
      watch.bookmark();
      cancels[0] = this.#clock.after(bookmarkMs, bookmarkAgain);
    };
    const finish = (): void => {
      for (const cancel of cancels) cancel();
      this.#watches.delete(watch);
    };

    response.on('close', finish);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.#watches.add(watch);
    cancels[0] = this.#clock.after(bookmarkMs, bookmarkAgain);
    if (timeoutSeconds) cancels.push(this.#clock.after(Number(timeoutSeconds) * 1000, () => watch.fail('end')));
    try {
      if (resourceVersion === '' || resourceVersion === '0') {
        for (const object of this.store.list(served).filter(selects)) sendLine('ADDED', object);
      } else {
        for (const change of this.store.changesAfter(Number(resourceVersion))) onChange(change);
      }
      cancels.push(this.store.onChange(onChange));
    } catch (error) {
      // The real server has sent its headers by then, too: 410 comes as an event (k8s.io/apiserver cacher.go).
      if (!(error instanceof Refusal)) throw error;
      watch.fail(error.refused);
    }
  }
}

/** A virtual server that listens. */
export async function startVirtualServer(options: VirtualServerOptions = {}): Promise<VirtualServer> {
  const server = new VirtualServer(options);
  await server.listen();
  return server;
}

/** A change as a watch with a selector sees it: objects come into the selection and go out of it. */
function passOn(change: StoredChange, selects: Predicate, send: (type: string, object: unknown) => void): void {
  const { type, object, previous } = change;
  const was = previous !== undefined && selects(previous);
  const is = type !== 'DELETED' && selects(object);
  if (is) send(was ? 'MODIFIED' : 'ADDED', object);
  else if (was) send('DELETED', object);
}

const verbs: Record<string, Asked['verb'] | undefined> = { POST: 'create', DELETE: 'delete' };

function readRequest(request: http.IncomingMessage, target: URL, body: string): Received {
  const { apiVersion: _, ...at } = parsePath(target.pathname);
  return {
    verb: verbOf(request, target, at.name),
    ...at,
    query: Object.fromEntries(target.searchParams),
    userAgent: request.headers['user-agent'] ?? '',
    body: body === '' ? undefined : JSON.parse(body),
  };
}

function verbOf({ method = '', headers }: http.IncomingMessage, target: URL, name: string | undefined): Asked['verb'] {
  if (method === 'GET')
    return target.searchParams.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  if (method === 'PATCH') {
    const type = headers['content-type'];
    if (type === 'application/merge-patch+json') return 'patch';
    if (type === 'application/apply-patch+yaml') return 'apply';
    throw new Refusal(415, `the virtual server takes no patch of type ${type}`);
  }
  const verb = verbs[method];
  if (!verb) throw new Refusal(405, `the virtual server knows no ${method}`);
  return verb;
}

/** `/api/v1/...` or `/apis/<group>/<version>/...`, then `[namespaces/<namespace>/]<plural>[/<name>[/<subresource>]]`. */
function parsePath(path: string): ParsedPath {
  const steps = path.split('/').slice(1).map(decodeURIComponent);
  const [root, ...rest] = steps;
  const apiVersion = (root === 'api' ? rest.splice(0, 1) : rest.splice(0, 2)).join('/');
  // `namespaces` is also a resource itself: `/api/v1/namespaces/<name>`.
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.splice(0, 2)[1] : undefined;
  const [plural = '', name, subresource] = rest;
  return {
    apiVersion,
    plural,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}

interface ParsedPath {
  apiVersion: string;
  plural: string;
  namespace?: string;
  name?: string;
  subresource?: string;
}

function predicateOf(served: ServedResource, { namespace, query }: Received): Predicate {
  const selectable = ['metadata.name', 'metadata.namespace', ...(served.fieldSelectors ?? [])];
  const byLabel = labelPredicate(query['labelSelector'] ?? null);
  const byField = fieldPredicate(query['fieldSelector'] ?? null, selectable);
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) && byLabel(object) && byField(object);
}

function writerOf({ query, userAgent, subresource }: Received): Writer {
  if (subresource !== undefined && subresource !== 'status') {
    throw new Refusal(404, 'the server could not find the requested resource');
  }
  // Without a field manager the server takes what stands before the first slash of the user agent.
  return { fieldManager: query['fieldManager'] ?? userAgent.split('/')[0] ?? '', ...(subresource && { subresource }) };
}

function bodyOf({ body }: Received): Json {
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'the body is no object');
  return body as Json;
}

/** The body of a whole object, which must not contradict the path. */
function bodyFor(served: ServedResource, asked: Received, at: ObjectName): Json {
  const body = bodyOf(asked);
  const metadata = (body['metadata'] ?? {}) as Partial<ObjectName>;
  const contradicts =
    body['apiVersion'] !== served.apiVersion ||
    body['kind'] !== served.kind ||
    (at.name !== '' && metadata.name !== at.name) ||
    (metadata.namespace ?? at.namespace) !== at.namespace;
  if (contradicts)
    throw new Refusal(400, 'apiVersion, kind, name or namespace of the body differ from those of the path');
  return { ...body, metadata: { ...metadata, ...(at.namespace !== undefined && { namespace: at.namespace }) } };
}

/** Items of built-in lists come without kind and apiVersion, those of custom resources with them. */
function asListed({ apiVersion }: ServedResource, object: KubeObject): object {
  const isBuiltIn = !apiVersion.includes('.') || apiVersion.includes('.k8s.io/');
  if (!isBuiltIn) return object;
  const { apiVersion: _, kind: __, ...rest } = object;
  return rest;
}

function answer(response: http.ServerResponse, status: number, body: object, retryAfterSeconds?: number): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(JSON.stringify(body));
}
