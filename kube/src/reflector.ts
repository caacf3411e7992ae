// A cache of one resource that follows the server through anything: list, watch, resume, list anew. Deciding is for its user.
import type { KubeApi, Selection } from './api.ts';
import type { Clock } from './clock.ts';
import type { KubeError } from './error.ts';
import type { KubeObject, Resource } from './object.ts';

/** `object` is what is cached now, of `deleted` what was cached last. A delete and re-create that only a relist showed is both. */
export interface Change<T> {
  type: 'added' | 'updated' | 'deleted';
  key: string;
  object: T;
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
  /** Told of each failure that the reflector then retries; for logs and metrics. */
  onError?: (error: KubeError) => void;
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

export declare class Reflector<T extends KubeObject> {
  constructor(options: ReflectorOptions<T>);
  /** Resolves when the first whole list is in the cache; rejects with KUBE_STOPPED if stopped before. */
  readonly synced: Promise<void>;
  /** Starts following; again while it runs does nothing. A stopped reflector is not started again: make a new one. */
  start(): void;
  /** No handler is called and no request made after this. Resolves when the connection is gone. May be called again. */
  stop(): Promise<void>;
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  health(): ReflectorHealth;
}
