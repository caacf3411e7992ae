// Leaf fields of an object and who owns them: the mechanics of server-side apply (KEP-555), simplified as store.ts says.

export type Json = { [key: string]: unknown };

/** Keys of the lists that are maps, by the path of the list: `{ 'status.conditions': ['type'] }`. */
export type ListMapKeys = Readonly<Record<string, readonly string[]>>;

/** Steps to one leaf, written as in managedFields: `f:` a field, `k:` an item of a list that is a map. */
type Path = readonly string[];

/** The leaves of an object by their path, as JSON text of its steps. Lists that are not maps are one leaf. */
export function leavesOf(object: Json, keys: ListMapKeys): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  collect(object, [], '', keys, leaves);
  return leaves;
}

function collect(
  value: unknown,
  path: Path,
  schemaPath: string,
  keys: ListMapKeys,
  leaves: Map<string, unknown>,
): void {
  const children = childrenOf(value, schemaPath, keys);
  if (!children || children.length === 0) {
    if (path.length > 0) leaves.set(JSON.stringify(path), value);
    return;
  }
  for (const [step, child, childSchema] of children) collect(child, [...path, step], childSchema, keys, leaves);
}

function childrenOf(value: unknown, schemaPath: string, keys: ListMapKeys): [string, unknown, string][] | undefined {
  const itemKeys = keys[schemaPath];
  if (Array.isArray(value) && itemKeys) {
    return value.map((item: Json) => [itemStep(item, itemKeys), item, schemaPath]);
  }
  if (!isMap(value)) return undefined;
  const inside = schemaPath === '' ? '' : `${schemaPath}.`;
  return Object.entries(value).map(([name, child]) => [`f:${name}`, child, inside + name]);
}

function itemStep(item: Json, itemKeys: readonly string[]): string {
  return `k:${JSON.stringify(Object.fromEntries(itemKeys.map((key) => [key, item[key]])))}`;
}

export function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets a leaf, making what lies on the way. An empty map or list does not clear one that is there: its leaves do that. */
export function setLeaf(object: Json, path: string, value: unknown): void {
  const steps = JSON.parse(path) as Path;
  let at: unknown = object;
  for (const [index, step] of steps.entries()) {
    const next = steps[index + 1];
    if (step.startsWith('k:')) {
      at = itemOf(at as Json[], step, true);
    } else if (next === undefined) {
      const there = (at as Json)[step.slice(2)];
      const keeps =
        (isMap(value) && isMap(there)) || (Array.isArray(value) && value.length === 0 && Array.isArray(there));
      if (!keeps) (at as Json)[step.slice(2)] = structuredClone(value);
    } else {
      at = container(at as Json, step.slice(2), next.startsWith('k:'));
    }
  }
}

function container(map: Json, name: string, isList: boolean): unknown {
  const there = map[name];
  if (isList ? !Array.isArray(there) : !isMap(there)) map[name] = isList ? [] : {};
  return map[name];
}

function itemOf(list: Json[], step: string, make: boolean): Json | undefined {
  const key = JSON.parse(step.slice(2)) as Json;
  const found = list.find((item) => Object.entries(key).every(([name, value]) => item[name] === value));
  if (found || !make) return found;
  const item = { ...key };
  list.push(item);
  return item;
}

/** Removes leaves, and what is left empty around them. The keys of an item go last: by them it is found. */
export function removeLeaves(object: Json, paths: readonly string[]): void {
  const steps = paths.map((path) => JSON.parse(path) as Path);
  for (const path of steps.filter((one) => !isItemKey(one))) removeAt(object, path);
  for (const path of steps.filter(isItemKey)) removeAt(object, path);
}

function isItemKey(path: Path): boolean {
  const [item = '', field = ''] = path.slice(-2);
  return item.startsWith('k:') && field.slice(2) in (JSON.parse(item.slice(2)) as Json);
}

function removeAt(at: unknown, [step, ...rest]: Path): void {
  if (step === undefined || at === undefined) return;
  if (step.startsWith('k:')) {
    const list = at as Json[];
    const item = itemOf(list, step, false);
    if (!item) return;
    const key = JSON.parse(step.slice(2)) as Json;
    // The first of its keys takes an item with it of which nothing else is left: without it the others would not find the item.
    if (rest.length > 1 || !((rest[0] ?? '').slice(2) in key)) removeAt(item, rest);
    else if (Object.keys(item).every((name) => name in key)) list.splice(list.indexOf(item), 1);
    return;
  }
  const name = step.slice(2);
  const map = at as Json;
  if (rest.length === 0) {
    delete map[name];
    return;
  }
  const child = map[name];
  removeAt(child, rest);
  if (Array.isArray(child) ? child.length === 0 : isMap(child) && Object.keys(child).length === 0) delete map[name];
}

/** fieldsV1 of metav1.ManagedFieldsEntry. */
export function fieldsV1(paths: Iterable<string>): Json {
  const root: Json = {};
  for (const path of paths) {
    let at = root;
    for (const step of JSON.parse(path) as Path) at = (at[step] ??= {}) as Json;
  }
  return root;
}

/** RFC 7386. */
export function mergePatched(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return structuredClone(patch);
  const result: Json = isMap(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatched(result[name], value);
  }
  return result;
}
