// The real KubeApi: HTTP/1.1 on node:http(s), which costs 3 MiB where fetch costs 30. What a request says is here; how it travels is in exchange.ts.
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeApi,
  ObjectList,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api.ts';
import { jittered, notBefore } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import type { Connection } from './connection.ts';
import { type Asked, KubeError } from './error.ts';
import { Exchange, type Question, statusError } from './exchange.ts';
import type { Intent, KubeObject, MergePatch, ObjectName, Resource } from './object.ts';

const defaultTimeoutMs = 30_000;
const defaultIdleMs = 120_000;
const pageSize = 500;
const json = 'application/json';
const mergePatch = 'application/merge-patch+json';
/** JSON is YAML, and this is the only media type for apply that every supported server takes. */
const applyPatch = 'application/apply-patch+yaml';

export interface ConnectOptions {
  /** Who calls, for the server's audit log: `data-direct-operator/0.1.0`. */
  userAgent: string;
  clock?: Clock;
}

export function connect(connection: Connection, { userAgent, clock = systemClock }: ConnectOptions): KubeApi {
  return new HttpKubeApi(new Exchange(connection, userAgent, clock), clock);
}

type Query = Record<string, string | undefined>;

class HttpKubeApi implements KubeApi {
  readonly #exchange: Exchange;
  readonly #clock: Clock;

  constructor(exchange: Exchange, clock: Clock) {
    this.#exchange = exchange;
    this.#clock = clock;
  }

  async get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options: CallOptions = {}): Promise<T> {
    const asked = askedOf('get', resource, name);
    return this.#object(resource, { asked, method: 'GET', path: pathOf(resource, name) }, options);
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: Selection & CallOptions = {},
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    const asked = askedOf('list', resource, options);
    let page: string | undefined;
    for (;;) {
      const query = { ...selectors(options), limit: String(pageSize), continue: page };
      const answer = await this.#call({ asked, method: 'GET', path: pathOf(resource, options, query) }, options);
      const { metadata, items: found } = answer as Partial<{
        metadata: { resourceVersion?: string; continue?: string };
        items: T[] | null;
      }>;
      for (const item of found ?? []) items.push(named(resource, item));
      if (!metadata?.continue) return { items, resourceVersion: metadata?.resourceVersion ?? '' };
      page = metadata.continue;
    }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: Intent<T>, options: WriteOptions): Promise<T> {
    const asked = askedOf('create', resource, object.metadata);
    const path = pathOf(resource, { namespace: object.metadata.namespace }, { fieldManager: options.fieldManager });
    return this.#object(
      resource,
      { asked, method: 'POST', path, contentType: json, body: named(resource, object) },
      options,
    );
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    options: DeleteOptions = {},
  ): Promise<void> {
    const asked = askedOf('delete', resource, name);
    const { preconditions } = options;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...(preconditions && { preconditions }) };
    await this.#call({ asked, method: 'DELETE', path: pathOf(resource, name), contentType: json, body }, options);
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: MergePatch<T>,
    options: WriteOptions,
  ): Promise<T> {
    const asked = askedOf('patch', resource, name);
    const path = pathOf(resource, name, { fieldManager: options.fieldManager }, options.subresource);
    return this.#object(resource, { asked, method: 'PATCH', path, contentType: mergePatch, body: patch }, options);
  }

  async apply<T extends KubeObject>(resource: Resource<T>, object: Intent<T>, options: ApplyOptions): Promise<T> {
    const asked = askedOf('apply', resource, object.metadata);
    const query = { fieldManager: options.fieldManager, force: options.force ? 'true' : undefined };
    const path = pathOf(resource, object.metadata, query, options.subresource);
    const body = named(resource, object);
    return this.#object(resource, { asked, method: 'PATCH', path, contentType: applyPatch, body }, options);
  }

  async *watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { resourceVersion, signal, idleMs = defaultIdleMs } = options;
    const asked = askedOf('watch', resource, options);
    const seconds = options.timeoutSeconds ?? Math.round(jittered(450, 1 / 3));
    const path = pathOf(resource, options, {
      ...selectors(options),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(seconds),
    });

    using watchdog = new Bound(this.#clock, signal, asked);
    watchdog.within(idleMs, 'said nothing');
    try {
      for await (const line of this.#exchange.lines({ asked, method: 'GET', path }, watchdog.signal)) {
        if (signal.aborted) return;
        watchdog.within(idleMs, 'said nothing');
        yield eventOf(resource, asked, line);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
  }

  close(): void {
    this.#exchange.close();
  }

  async #object<T extends KubeObject>(resource: Resource<T>, question: Question, options: CallOptions): Promise<T> {
    return named(resource, (await this.#call(question, options)) as T);
  }

  /** One request, and again when the server says when to come again, all within the call's time. */
  async #call(question: Question, { timeoutMs = defaultTimeoutMs, signal }: CallOptions): Promise<unknown> {
    using bound = new Bound(this.#clock, signal, question.asked);
    bound.within(timeoutMs, 'did not answer');
    const end = this.#clock.now() + timeoutMs;
    for (;;) {
      try {
        return await this.#exchange.json(question, bound.signal);
      } catch (error) {
        if (!(error instanceof KubeError) || error.retryAfterMs === undefined) throw error;
        const wait = notBefore(error.retryAfterMs);
        if (this.#clock.now() + wait >= end) throw error;
        await sleep(this.#clock, wait, bound.signal);
        bound.signal.throwIfAborted();
      }
    }
  }
}

/** Joins a caller's signal and a time limit into one signal, whose reason is the KubeError to throw. */
class Bound implements Disposable {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #asked: Asked;
  readonly #outer: AbortSignal | undefined;
  #cancel: () => void = () => {};

  constructor(clock: Clock, outer: AbortSignal | undefined, asked: Asked) {
    this.#clock = clock;
    this.#asked = asked;
    this.#outer = outer;
    if (outer?.aborted) this.#stopped();
    outer?.addEventListener('abort', this.#stopped);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  within(ms: number, failure: string): void {
    this.#cancel();
    this.#cancel = this.#clock.after(ms, () =>
      this.#controller.abort(
        new KubeError('KUBE_TIMEOUT', `the server ${failure} within ${ms / 1000} s`, { asked: this.#asked }),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#outer?.removeEventListener('abort', this.#stopped);
  }

  readonly #stopped = (): void =>
    this.#controller.abort(new KubeError('KUBE_STOPPED', 'the caller stopped', { asked: this.#asked }));
}

/** Servers leave apiVersion and kind off the items of built-in lists; writers leave them to the resource. */
function named<T extends object>(resource: Resource<KubeObject>, object: T): T {
  return { apiVersion: resource.apiVersion, kind: resource.kind, ...object };
}

function askedOf(verb: Asked['verb'], resource: Resource<KubeObject>, at: Partial<ObjectName>): Asked {
  const group = resource.apiVersion.includes('/') ? `.${resource.apiVersion.split('/')[0]}` : '';
  return {
    verb,
    resource: resource.plural + group,
    ...(at.namespace !== undefined && { namespace: at.namespace }),
    ...(at.name !== undefined && { name: at.name }),
  };
}

function pathOf(
  resource: Resource<KubeObject>,
  at: { name?: string | undefined; namespace?: string | undefined },
  query: Query = {},
  subresource?: string,
): string {
  const { apiVersion, plural } = resource;
  const steps = [
    ...(at.namespace === undefined ? [] : ['namespaces', at.namespace]),
    plural,
    ...(at.name === undefined ? [] : [at.name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  const said = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = said.length === 0 ? '' : `?${new URLSearchParams(said).toString()}`;
  return `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}/${steps.map(encodeURIComponent).join('/')}${search}`;
}

function selectors({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}

function eventOf<T extends KubeObject>(resource: Resource<T>, asked: Asked, line: string): WatchEvent<T> {
  let event: { type?: unknown; object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (cause) {
    throw new KubeError('KUBE_BAD_ANSWER', `a line of the watch is no JSON: ${line.slice(0, 100)}`, { asked, cause });
  }
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object: named(resource, event.object as T) };
    case 'BOOKMARK':
      return event as WatchEvent<T>;
    case 'ERROR':
      throw statusError(asked, event.object);
    default:
      throw new KubeError('KUBE_BAD_ANSWER', `the watch brought an event of type ${String(event.type)}`, { asked });
  }
}
