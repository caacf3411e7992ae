// What an API object and a kind of object (a resource) are, as plain JSON. Nothing here talks to a server.

/** The part of `metadata` this project reads or writes. Fields not named here stay in the object untouched. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  /** Counts changes of `spec` only; what a status writes as `observedGeneration`. */
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: unknown[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/**
 * One kind of object and where the server serves it; `T` is the type of its objects.
 * @example const nodes: Resource<Plain<V1Node>> = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
 */
export interface Resource<T extends KubeObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: it only carries `T`, so that calls given a resource are typed. */
  readonly objectType?: T;
}

/** The name of one object; `namespace` for namespaced resources only. */
export interface ObjectName {
  name: string;
  namespace?: string;
}

type Jsonified<T> = T extends Date
  ? string
  : T extends readonly (infer E)[]
    ? Jsonified<E>[]
    : T extends object
      ? { [K in keyof T]: Jsonified<T[K]> }
      : T;

/** A type of `@kubernetes/client-node` as JSON really has it: times are strings; kind and metadata are always there. */
export type Plain<T> = Jsonified<Omit<T, 'apiVersion' | 'kind' | 'metadata'>> & KubeObject;

type DeepPartial<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;

/** What a writer wants said of an object: any part of it, under its name. `apiVersion` and `kind` are the resource's. */
export type Intent<T extends KubeObject> = DeepPartial<Omit<T, keyof KubeObject>> & {
  metadata: Pick<
    ObjectMeta,
    'name' | 'namespace' | 'labels' | 'annotations' | 'ownerReferences' | 'finalizers' | 'uid' | 'resourceVersion'
  >;
};

type Mergeable<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: Mergeable<T[K]> | null }
    : T;

/** A JSON merge patch (RFC 7386): `null` takes a field away. A `metadata.resourceVersion` or `uid` in it is a precondition. */
export type MergePatch<T extends KubeObject> = Mergeable<Omit<T, 'apiVersion' | 'kind'>>;

/** `namespace/name`, or `name` of a cluster-scoped object: the key of caches and work queues. */
export function keyOf(object: { metadata: ObjectName }): string {
  const { name, namespace } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export function nameOfKey(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
