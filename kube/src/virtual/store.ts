// What the virtual server knows: objects, versions, history, field owners. No HTTP here.
//
// Not covered: schemas (defaults, validation, pruning, CEL), admission, authorization, quotas, namespaces as objects,
// generateName, garbage collection by owner, deletion grace, dry run, replace and JSON patch, ownership of a list or
// map as such (only of leaves), conflicts between a leaf and an atomic ancestor, order of items in lists that are maps
// (ours: as they came). Unlike the real server it counts `generation` for every resource.
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import { type KubeObject, type ObjectName, type Resource, keyOf } from '../object.ts';
import {
  type Json,
  type ListMapKeys,
  fieldsV1,
  isMap,
  leavesOf,
  mergePatched,
  removeLeaves,
  setLeaf,
} from './fields.ts';
import { Refusal } from './refusal.ts';

/** A resource as it is served. */
export interface ServedResource extends Resource<KubeObject> {
  /** Has a status subresource: status is written there and only there. Default false. */
  status?: boolean;
  listMapKeys?: ListMapKeys;
  /** Besides metadata.name and metadata.namespace. */
  fieldSelectors?: readonly string[];
}

export interface Writer {
  fieldManager: string;
  subresource?: 'status';
}

export interface StoredChange {
  version: number;
  resource: ServedResource;
  object: KubeObject;
  previous: KubeObject | undefined;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
}

interface Owner extends Writer {
  operation: 'Apply' | 'Update';
  time: string;
  fields: Set<string>;
}

/** Set by the server, whatever a writer says. */
const serverFields = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'name',
  'namespace',
] as const;

/** What names of objects must be (apimachinery, IsDNS1123Subdomain). */
const dnsSubdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const historyLength = 10_000;

export class Store {
  readonly #clock: Clock;
  readonly #resources: readonly ServedResource[];
  readonly #objects = new Map<ServedResource, Map<string, KubeObject>>();
  readonly #owners = new Map<string, Owner[]>();
  readonly #listeners = new Set<(change: StoredChange) => void>();
  #history: StoredChange[] = [];
  /** Changes up to this version are forgotten. */
  #forgotten = 0;
  #version = 100;
  #uids = 0;

  constructor(resources: readonly ServedResource[], clock: Clock) {
    this.#clock = clock;
    this.#resources = resources;
    for (const resource of resources) this.#objects.set(resource, new Map());
  }

  get version(): number {
    return this.#version;
  }

  /** The served form of a resource, by its path. */
  served({ apiVersion, plural }: { apiVersion: string; plural: string }): ServedResource {
    const found = this.#resources.find((one) => one.apiVersion === apiVersion && one.plural === plural);
    if (!found) throw new Refusal(404, 'the server could not find the requested resource');
    return found;
  }

  /** Forgets all changes so far: a watch from an older version is answered with 410, as after etcd's compaction. */
  compact(): void {
    this.#history = [];
    this.#forgotten = this.#version;
  }

  onChange(listener: (change: StoredChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changesAfter(version: number): StoredChange[] {
    if (version < this.#forgotten) {
      throw new Refusal(410, `too old resource version: ${version} (${this.#forgotten + 1})`);
    }
    return this.#history.filter((change) => change.version > version);
  }

  /** All objects of a resource in the order of their keys. They are shared: do not write into them. */
  list<T extends KubeObject>(resource: Resource<T>): T[] {
    const objects = this.#objectsOf(resource);
    return [...objects.keys()].toSorted().map((key) => objects.get(key) as T);
  }

  get<T extends KubeObject>(resource: Resource<T>, name: ObjectName): T {
    const found = this.#objectsOf(resource).get(keyOf({ metadata: name }));
    if (!found) throw new Refusal(404, `${this.#called(resource)} "${name.name}" not found`);
    return found as T;
  }

  create<T extends KubeObject>(resource: Resource<T>, body: object, { fieldManager }: Writer = someone): T {
    const served = this.served(resource);
    const object = this.#new(served, body as Json);
    if (object.metadata.resourceVersion !== undefined) {
      throw new Refusal(400, 'resourceVersion should not be set on objects to be created');
    }
    if (this.#objectsOf(served).has(keyOf(object))) {
      const message = `${this.#called(served)} "${object.metadata.name}" already exists`;
      throw new Refusal(409, message, 'AlreadyExists');
    }
    const owners = this.#ownedByUpdate(served, [], undefined, object, { fieldManager });
    return this.#commit(served, undefined, object, owners) as T;
  }

  patch<T extends KubeObject>(resource: Resource<T>, name: ObjectName, patch: object, writer: Writer = someone): T {
    const served = this.served(resource);
    const previous = this.get(served, name);
    checkPreconditions(previous, (patch as { metadata?: Json }).metadata ?? {});
    const object = this.#written(served, previous, mergePatched(previous, patch) as Json, writer);
    const owners = this.#ownedByUpdate(served, this.#ownersOf(previous), previous, object, writer);
    return this.#commit(served, previous, object, owners) as T;
  }

  apply<T extends KubeObject>(resource: Resource<T>, body: object, force: boolean, writer: Writer): T {
    const served = this.served(resource);
    const said = body as KubeObject & Json;
    if (said.metadata.managedFields) throw new Refusal(400, 'metadata.managedFields must be nil');
    const previous = this.#objectsOf(served).get(keyOf(said));
    if (previous) checkPreconditions(previous, { ...said.metadata });
    else if (writer.subresource) this.get(served, said.metadata);

    const base = previous ?? this.#new(served, { metadata: said.metadata });
    const before = previous ? this.#ownersOf(previous) : [];
    const keys = keysOf(served);
    const applied = leavesOf(writable(said, served, writer), keys);
    const isMine = (owner: Owner): boolean =>
      owner.operation === 'Apply' &&
      owner.fieldManager === writer.fieldManager &&
      owner.subresource === writer.subresource;
    const others = before.filter((owner) => !isMine(owner));
    const contested = contestedFields(applied, leavesOf(base as unknown as Json, keys), others);
    if (contested.length > 0 && !force) throw conflict(contested);

    const next = structuredClone(base) as unknown as Json;
    const given = [...(before.find(isMine)?.fields ?? [])].filter((path) => !applied.has(path));
    const isHeld = (path: string): boolean => others.some((owner) => owner.fields.has(path));
    removeLeaves(
      next,
      given.filter((path) => !isHeld(path)),
    );
    for (const [path, value] of applied) setLeaf(next, path, value);
    const taken = new Set(contested.map(({ path }) => path));
    const owners = [
      ...others.map((owner) => ({ ...owner, fields: without(owner.fields, taken) })),
      { ...writer, operation: 'Apply' as const, time: this.#now(), fields: new Set(applied.keys()) },
    ];
    return this.#commit(served, previous, this.#written(served, base, next, writer), owners) as T;
  }

  delete<T extends KubeObject>(
    resource: Resource<T>,
    name: ObjectName,
    preconditions: { uid?: string; resourceVersion?: string } = {},
  ): void {
    const served = this.served(resource);
    const previous = this.get(served, name);
    checkPreconditions(previous, preconditions);
    const owners = this.#ownersOf(previous);
    if (!previous.metadata.finalizers?.length) this.#remove(served, previous, previous);
    else if (!previous.metadata.deletionTimestamp) {
      const metadata = { ...previous.metadata, deletionTimestamp: this.#now() };
      this.#commit(served, previous, { ...previous, metadata }, owners);
    }
  }

  #objectsOf(resource: Resource<KubeObject>): Map<string, KubeObject> {
    return this.#objects.get(this.served(resource)) ?? new Map<string, KubeObject>();
  }

  #ownersOf({ metadata }: KubeObject): Owner[] {
    return this.#owners.get(metadata.uid ?? '') ?? [];
  }

  #called({ apiVersion, plural }: Resource<KubeObject>): string {
    return apiVersion.includes('/') ? `${plural}.${apiVersion.split('/')[0]}` : plural;
  }

  #now(): string {
    return this.#clock
      .wallTime()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z');
  }

  #new(served: ServedResource, body: Json): KubeObject {
    const { apiVersion, kind, namespaced, status } = served;
    const metadata = (isMap(body['metadata']) ? body['metadata'] : {}) as Partial<KubeObject['metadata']>;
    const { name } = metadata;
    if (!name || !dnsSubdomain.test(name)) {
      throw new Refusal(
        422,
        `${kind} "${name ?? ''}" is invalid: metadata.name: Invalid value: a DNS subdomain is required`,
      );
    }
    if (namespaced && !metadata.namespace) throw new Refusal(400, `${kind} "${name}" needs a namespace`);
    const created = {
      ...body,
      apiVersion,
      kind,
      metadata: {
        ...metadata,
        name,
        uid: `00000000-0000-4000-8000-${String(++this.#uids).padStart(12, '0')}`,
        generation: 1,
        creationTimestamp: this.#now(),
      },
    } as KubeObject & { status?: unknown };
    if (status) delete created.status;
    return created;
  }

  /** What a write makes of an object: the writer's part from `wanted`, the rest from `previous`. */
  #written(served: ServedResource, previous: KubeObject, wanted: Json, { subresource }: Writer): KubeObject {
    if (subresource && !served.status) throw new Refusal(404, 'the server could not find the requested resource');
    const was = previous as KubeObject & Json;
    const next: Json = subresource ? { ...was, status: wanted['status'] } : { ...wanted };
    if (served.status && !subresource) next['status'] = was['status'];
    if (next['status'] === undefined) delete next['status'];
    const metadata: Json = { ...(next['metadata'] as Json) };
    for (const field of serverFields) {
      if (was.metadata[field] === undefined) delete metadata[field];
      else metadata[field] = was.metadata[field];
    }
    const { apiVersion, kind } = served;
    return { ...next, apiVersion, kind, metadata: metadata as unknown as KubeObject['metadata'] };
  }

  #ownedByUpdate(
    served: ServedResource,
    before: Owner[],
    previous: KubeObject | undefined,
    object: KubeObject,
    writer: Writer,
  ): Owner[] {
    const keys = keysOf(served);
    const old = previous ? leavesOf(writable(previous, served, writer), keys) : new Map<string, unknown>();
    const now = leavesOf(writable(object, served, writer), keys);
    const changed = new Set(
      [...now].filter(([path, value]) => !isDeepStrictEqual(old.get(path), value)).map(([path]) => path),
    );
    const touched = new Set([...changed, ...[...old.keys()].filter((path) => !now.has(path))]);
    if (touched.size === 0) return before;
    const isMine = (owner: Owner): boolean =>
      owner.operation === 'Update' &&
      owner.fieldManager === writer.fieldManager &&
      owner.subresource === writer.subresource;
    const left = before.map((owner) => ({ ...owner, fields: without(owner.fields, touched) }));
    const mine = left.find(isMine)?.fields ?? new Set<string>();
    return [
      ...left.filter((owner) => !isMine(owner)),
      { ...writer, operation: 'Update', time: this.#now(), fields: new Set([...mine, ...changed]) },
    ];
  }

  #commit(served: ServedResource, previous: KubeObject | undefined, object: KubeObject, owners: Owner[]): KubeObject {
    const kept = owners.filter((owner) => owner.fields.size > 0);
    if (previous && isDeepStrictEqual(content(previous), content(object))) {
      // A write that changes nothing makes no version and no event.
      if (isDeepStrictEqual(fieldsByOwner(this.#ownersOf(previous)), fieldsByOwner(kept))) return previous;
    }
    const specChanged = previous && !isDeepStrictEqual(specOf(previous, served), specOf(object, served));
    const next: KubeObject = {
      ...object,
      metadata: {
        ...object.metadata,
        generation: (object.metadata.generation ?? 0) + (specChanged ? 1 : 0),
        managedFields: kept.map(({ fieldManager, subresource, operation, time, fields }) => ({
          manager: fieldManager,
          operation,
          apiVersion: served.apiVersion,
          time,
          fieldsType: 'FieldsV1',
          fieldsV1: fieldsV1(fields),
          ...(subresource && { subresource }),
        })),
      },
    };
    this.#owners.set(next.metadata.uid ?? '', kept);
    if (next.metadata.deletionTimestamp && !next.metadata.finalizers?.length)
      return this.#remove(served, previous, next);
    return this.#record(served, previous, next, previous ? 'MODIFIED' : 'ADDED');
  }

  #remove(served: ServedResource, previous: KubeObject | undefined, object: KubeObject): KubeObject {
    this.#owners.delete(object.metadata.uid ?? '');
    return this.#record(served, previous, object, 'DELETED');
  }

  #record(
    resource: ServedResource,
    previous: KubeObject | undefined,
    object: KubeObject,
    type: StoredChange['type'],
  ): KubeObject {
    const version = ++this.#version;
    const next = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const objects = this.#objectsOf(resource);
    if (type === 'DELETED') objects.delete(keyOf(next));
    else objects.set(keyOf(next), next);
    const change: StoredChange = { version, resource, object: next, previous, type };
    this.#history.push(change);
    if (this.#history.length > historyLength) this.#forgotten = this.#history.shift()?.version ?? this.#forgotten;
    for (const listener of this.#listeners) listener(change);
    return next;
  }
}

const someone: Writer = { fieldManager: 'someone' };

function keysOf(served: ServedResource): ListMapKeys {
  return { 'metadata.ownerReferences': ['uid'], ...served.listMapKeys };
}

/** The part of an object that a writer owns fields of. */
function writable(object: KubeObject, served: ServedResource, { subresource }: Writer): Json {
  const { apiVersion: _, kind: __, metadata, status, ...rest } = object as KubeObject & Json;
  if (subresource) return { ...(status !== undefined && { status }) };
  const said: Json = { ...metadata };
  for (const field of serverFields) delete said[field];
  return {
    ...rest,
    ...(Object.keys(said).length > 0 && { metadata: said }),
    ...(status !== undefined && !served.status && { status }),
  };
}

function checkPreconditions(object: KubeObject, said: { uid?: unknown; resourceVersion?: unknown }): void {
  const { name, uid, resourceVersion } = object.metadata;
  const isOther =
    (said.uid !== undefined && said.uid !== uid) ||
    (said.resourceVersion !== undefined && said.resourceVersion !== resourceVersion);
  if (isOther) {
    throw new Refusal(
      409,
      `Operation cannot be fulfilled on "${name}": the object has been modified; please apply your changes to the latest version`,
    );
  }
}

interface Contested {
  path: string;
  fieldManager: string;
}

function contestedFields(applied: Map<string, unknown>, current: Map<string, unknown>, others: Owner[]): Contested[] {
  return [...applied]
    .filter(([path, value]) => current.has(path) && !isDeepStrictEqual(current.get(path), value))
    .flatMap(([path]) =>
      others.filter((owner) => owner.fields.has(path)).map(({ fieldManager }) => ({ path, fieldManager })),
    );
}

function conflict(contested: Contested[]): Refusal {
  const named = contested.map(({ path, fieldManager }) => {
    const steps = (JSON.parse(path) as string[]).map((step) =>
      step.startsWith('f:') ? `.${step.slice(2)}` : `[${step.slice(2)}]`,
    );
    return `"${fieldManager}": ${steps.join('')}`;
  });
  return new Refusal(409, `Apply failed with ${named.length} conflict(s): conflict with ${named.join('; ')}`);
}

function without(fields: Set<string>, taken: Set<string>): Set<string> {
  return new Set([...fields].filter((path) => !taken.has(path)));
}

function fieldsByOwner(owners: Owner[]): unknown {
  return owners
    .map(({ fieldManager, subresource, operation, fields }) => [
      fieldManager,
      subresource ?? '',
      operation,
      [...fields].toSorted(),
    ])
    .toSorted();
}

function content(object: KubeObject): unknown {
  const { managedFields: _, resourceVersion: __, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function specOf(object: KubeObject, served: ServedResource): unknown {
  const { metadata: _, status, ...spec } = object as KubeObject & Json;
  return served.status ? spec : { ...spec, status };
}
