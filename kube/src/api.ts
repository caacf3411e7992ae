// The door to an API server. The real one is in connect.ts; tests put virtual/ behind the same real one.
import type { Intent, KubeObject, MergePatch, ObjectName, Resource } from './object.ts';

export interface CallOptions {
  /** Bounds the whole call, waiting for a Retry-After included. Default 30 s. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Which objects of a resource: all, or those of one namespace, by label, by field. */
export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface WriteOptions extends CallOptions {
  /** Who writes: field ownership is by this name. One per controller. */
  fieldManager: string;
  /** `status` for resources that have that subresource; without it the server ignores changes of status. */
  subresource?: 'status';
}

export interface ApplyOptions extends WriteOptions {
  /** Take fields from another manager instead of failing with KUBE_CONFLICT. Default false. */
  force?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** The object is deleted only if it still is this one; else KUBE_CONFLICT. */
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface WatchOptions extends Selection {
  /** Events after this version. */
  resourceVersion: string;
  signal: AbortSignal;
  /** The server ends the watch after this time. Default random, 300–600 s, so that clients do not come back all at once. */
  timeoutSeconds?: number;
  /** A stream that says nothing for so long (bookmarks come every minute) is given up with KUBE_TIMEOUT. Default 120 s. */
  idleMs?: number;
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } };

export interface ObjectList<T> {
  items: T[];
  /** The version of the whole list: a watch starts from here. */
  resourceVersion: string;
}

/**
 * Plain JSON in and out: fields that our types do not know pass through. Every rejection is a KubeError.
 * An answer 429 or 5xx that carries Retry-After was not acted upon: the call waits and asks again within its `timeoutMs`.
 * Nothing else is retried here; whoever loops (reflector, queue, elector) backs off.
 * There is no replace: it would erase fields of a newer server. Write with `apply` or `patch`.
 */
export interface KubeApi {
  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options?: CallOptions): Promise<T>;
  /** The whole list, fetched in pages of 500; `timeoutMs` bounds each page. */
  list<T extends KubeObject>(resource: Resource<T>, options?: Selection & CallOptions): Promise<ObjectList<T>>;
  create<T extends KubeObject>(resource: Resource<T>, object: Intent<T>, options: WriteOptions): Promise<T>;
  /** Resolves when the server took the order; finalizers may hold the object a while longer. */
  delete<T extends KubeObject>(resource: Resource<T>, name: ObjectName, options?: DeleteOptions): Promise<void>;
  /** JSON merge patch. */
  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    patch: MergePatch<T>,
    options: WriteOptions,
  ): Promise<T>;
  /** Server-side apply: creates the object if it is not there (not with a subresource: then KUBE_NOT_FOUND). */
  apply<T extends KubeObject>(resource: Resource<T>, object: Intent<T>, options: ApplyOptions): Promise<T>;
  /** One stream, with bookmarks. Ends when the server ends it or `signal` aborts; throws for all else. Most want a Reflector. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Closes the connections of calls; calls under way fail. Watches end by their own signal. */
  close(): void;
}
