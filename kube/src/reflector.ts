// A cache of one resource that follows the server through anything: list, watch, resume, list anew. Deciding is for its user.
import type { KubeApi, Selection } from './api.ts';
import { retryDelay } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { KubeError, isKubeError } from './error.ts';
import { type KubeObject, type Resource, keyOf } from './object.ts';

/** `object` is what is cached now, of `deleted` what was cached last. A delete and re-create that only a relist showed is both. */
export interface Change<T> {
  type: 'added' | 'updated' | 'deleted';
  key: string;
  object: T;
  /** Of `updated`: what was cached before. */
  previous?: T;
}

export interface ReflectorOptions<T extends KubeObject> {
  api: KubeApi;
  resource: Resource<T>;
  selection?: Selection;
  /** Makes objects smaller before they are cached; `metadata.managedFields` always goes. */
  trim?: (object: T) => T;
  /** Called after the cache has changed. Level-triggered users only `queue.add(change.key)`. A throw goes to onError. */
  onChange?: (change: Change<T>) => void;
  /** Told of each failure: of the server's, which is then retried, and of what onChange threw. For logs and metrics. */
  onError: (error: unknown) => void;
  clock?: Clock;
}

export interface ReflectorHealth {
  synced: boolean;
  objects: number;
  /** Monotonic time (of the clock) when the server was last heard: a list, an event, a bookmark. */
  lastHeardAt: number | undefined;
  lists: number;
  watches: number;
  /** Failures in a row; 0 when all is well. */
  failures: number;
  lastError: KubeError | undefined;
}

const retry = { firstMs: 1_000, maxMs: 30_000 };
/** A watch that lived for so long was healthy, however it ended. Shorter ones slow us down, or a server that closes at once would be hammered. */
const healthyWatchMs = 30_000;
/** After so many failures in a row the version itself is in doubt (a server restored from a backup): list anew. */
const failuresBeforeRelist = 3;

export class Reflector<T extends KubeObject> {
  /** Resolves when the first whole list is in the cache; rejects with KUBE_STOPPED if stopped before. */
  readonly synced: Promise<void>;
  readonly #synced = Promise.withResolvers<void>();
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #cache = new Map<string, T>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  /** Where the next watch starts; undefined asks for a list. */
  #version: string | undefined;
  #hasSynced = false;
  #lastHeardAt: number | undefined;
  #lists = 0;
  #watches = 0;
  #failures = 0;
  #lastError: KubeError | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.synced = this.#synced.promise;
    this.synced.catch(() => {}); // nobody need be waiting when stop() rejects it
  }

  /** Starts following; again while it runs does nothing. A stopped reflector is not started again: make a new one. */
  start(): void {
    this.#running ??= this.#follow();
  }

  /** No handler is called and no request made after this. Resolves when the connection is gone. May be called again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#synced.reject(new KubeError('KUBE_STOPPED', `the reflector of ${this.#options.resource.plural} was stopped`));
    await this.#running;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  values(): IterableIterator<T> {
    return this.#cache.values();
  }

  health(): ReflectorHealth {
    return {
      synced: this.#hasSynced,
      objects: this.#cache.size,
      lastHeardAt: this.#lastHeardAt,
      lists: this.#lists,
      watches: this.#watches,
      failures: this.#failures,
      lastError: this.#lastError,
    };
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    /** Watches in a row that were no good, whether they failed or ended at once. */
    let short = 0;
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      let failure: unknown;
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
        failure = error;
      }
      short = this.#clock.now() - startedAt >= healthyWatchMs ? 1 : short + 1;
      await sleep(this.#clock, retryDelay(short, retry, failure), signal);
    }
  }

  async #list(): Promise<void> {
    const { api, resource, selection } = this.#options;
    const { signal } = this.#stopping;
    this.#lists++;
    const { items, resourceVersion } = await api.list(resource, { ...selection, signal });
    if (signal.aborted) return;
    const gone = new Set(this.#cache.keys());
    for (const item of items) {
      gone.delete(keyOf(item));
      this.#put(item);
    }
    for (const key of gone) this.#drop(key);
    this.#heard(resourceVersion);
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  async #watch(): Promise<void> {
    const { api, resource, selection } = this.#options;
    const { signal } = this.#stopping;
    if (this.#version === undefined || signal.aborted) return;
    this.#watches++;
    for await (const event of api.watch(resource, { ...selection, resourceVersion: this.#version, signal })) {
      if (signal.aborted) return;
      if (event.type === 'DELETED') this.#drop(keyOf(event.object));
      else if (event.type !== 'BOOKMARK') this.#put(event.object);
      this.#heard(event.object.metadata.resourceVersion);
    }
  }

  #heard(version: string | undefined): void {
    this.#version = version;
    this.#lastHeardAt = this.#clock.now();
    this.#failures = 0;
  }

  #failed(error: unknown): void {
    this.#failures++;
    if (isKubeError(error)) this.#lastError = error;
    if (isKubeError(error, 'KUBE_GONE') || this.#failures >= failuresBeforeRelist) this.#version = undefined;
    this.#options.onError(error);
  }

  #put(found: T): void {
    delete found.metadata.managedFields;
    const object = this.#options.trim?.(found) ?? found;
    const key = keyOf(object);
    const previous = this.#cache.get(key);
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      this.#drop(key);
      this.#put(object);
      return;
    }
    if (previous !== undefined && previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#cache.set(key, object);
    this.#tell(previous === undefined ? { type: 'added', key, object } : { type: 'updated', key, object, previous });
  }

  #drop(key: string): void {
    const object = this.#cache.get(key);
    if (object === undefined) return;
    this.#cache.delete(key);
    this.#tell({ type: 'deleted', key, object });
  }

  #tell(change: Change<T>): void {
    if (this.#stopping.signal.aborted) return;
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
