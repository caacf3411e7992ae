// What is taken from a DataDirectPath, once read: the rule it sets, or why it sets none. Pure. Conflicts between policies are in assign.ts.
import { type DataDirectPathSpec, nodeLabel } from '@data-direct/crds';

import { type Labels, matches, selectorKeys, selectorProblems } from './label-selector.ts';
import { type PolicyObject, isRecord } from './objects.ts';

interface Read {
  readonly name: string;
  readonly generation: number;
  readonly object: PolicyObject;
}

export type ValidPolicy = Read & { readonly spec: DataDirectPathSpec; readonly problem?: never };
/** `problem` names each field that is wrong, and what was expected of it. */
export type InvalidPolicy = Read & { readonly problem: string };
export type Policy = ValidPolicy | InvalidPolicy;

/** Oldest first, and by name among equals: the order in which policies are served. */
export function readPolicies(objects: Iterable<PolicyObject>): Policy[] {
  return [...objects].toSorted(byAge).map(readPolicy);
}

export function selectsNode(policy: ValidPolicy, labels: Labels): boolean {
  return matches(policy.spec.nodeSelector, labels);
}

function readPolicy(object: PolicyObject): Policy {
  const { name, generation = 0 } = object.metadata;
  const wrongShape = shapeProblems(object.spec);
  const problems = wrongShape.length > 0 ? wrongShape : meaningProblems(object.spec);
  const read = { name, generation, object };
  return problems.length > 0 ? { ...read, problem: problems.join('; ') } : { ...read, spec: object.spec };
}

function byAge(a: PolicyObject, b: PolicyObject): number {
  const [left, right] = [a.metadata, b.metadata];
  return compare(left.creationTimestamp ?? '', right.creationTimestamp ?? '') || compare(left.name, right.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

type Shape = readonly [expected: string, holds: (value: unknown) => boolean];

const object: Shape = ['an object', isRecord];
const texts: Shape = ['a list of strings', (value) => isListOf(value, isText)];
const textMap: Shape = ['a map of strings', isTextMap];

/** The API server has checked all this by the CRD of its day; this is for the day when that is another than ours. */
const shapes: Readonly<Record<string, Shape>> = {
  resourceName: ['a DNS label', (value) => isText(value) && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value)],
  'nodeSelector?': object,
  'nodeSelector?.matchLabels?': textMap,
  'nodeSelector?.matchExpressions?': ['a list of {key, operator, values}', (value) => isListOf(value, isRequirement)],
  nics: object,
  'nics.pciAddresses?': texts,
  'nics.ibDevices?': texts,
  'exclude?': ['a list of {node, nic, reason}', (value) => isListOf(value, isExclusion)],
  environment: object,
  'environment.extra?': textMap,
};

function shapeProblems(spec: unknown): string[] {
  return Object.entries(shapes).flatMap(([path, [expected, holds]]) => {
    const { found, value } = lookUp(spec, path);
    return !found || holds(value) ? [] : [`spec.${path.replaceAll('?', '')}: expected ${expected}`];
  });
}

/** Follows `a.b?.c`; a `?` says that the field may be absent, and then nothing below it is looked for. */
function lookUp(root: unknown, path: string): { found: boolean; value: unknown } {
  let value = root;
  for (const part of path.split('.')) {
    value = isRecord(value) ? value[part.replace('?', '')] : undefined;
    if (value === undefined && part.endsWith('?')) return { found: false, value };
  }
  return { found: true, value };
}

function meaningProblems(spec: DataDirectPathSpec): string[] {
  const { nodeSelector, resourceName } = spec;
  const result = nodeLabel(resourceName);
  return [
    ...selectorProblems(nodeSelector, 'spec.nodeSelector'),
    ...(selectorKeys(nodeSelector).includes(result)
      ? [`spec.nodeSelector: ${result} is what this policy labels nodes with, it cannot select by it`]
      : []),
    ...environmentProblems(spec),
  ];
}

/** Variables that the node agent sets (architecture: what a container is given), each by a switch of spec.environment. */
const ownVariables: Readonly<Record<'nccl' | 'ucx' | 'nvshmem' | 'scopeHca', readonly string[]>> = {
  nccl: ['NCCL_IB_DATA_DIRECT'],
  ucx: ['UCX_IB_DIRECT_NIC'],
  nvshmem: ['NVSHMEM_DISABLE_DATA_DIRECT'],
  scopeHca: ['NCCL_IB_HCA', 'UCX_NET_DEVICES', 'NVSHMEM_HCA_LIST'],
};
const ownPrefix = 'PCIDEVICE_DATADIRECT_DEV_';

function environmentProblems({ environment }: DataDirectPathSpec): string[] {
  const extra = Object.keys(environment.extra ?? {});
  const clashes = (['nccl', 'ucx', 'nvshmem', 'scopeHca'] as const).flatMap((by) =>
    environment[by] ? extra.filter((name) => ownVariables[by].includes(name)).map((name) => ({ name, by })) : [],
  );
  return [
    ...clashes.map(
      ({ name, by }) => `spec.environment.extra.${name}: set by spec.environment.${by}; switch that off to set it here`,
    ),
    ...extra
      .filter((name) => name.startsWith(ownPrefix))
      .map((name) => `spec.environment.extra.${name}: ${ownPrefix}… always tells the container its paths`),
  ];
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isListOf(value: unknown, holds: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => holds(item));
}

function isTextMap(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((item) => isText(item));
}

function isRequirement(value: unknown): boolean {
  return (
    isRecord(value) &&
    isText(value['key']) &&
    isText(value['operator']) &&
    (value['values'] === undefined || isListOf(value['values'], isText))
  );
}

function isExclusion(value: unknown): boolean {
  return isRecord(value) && isText(value['node']) && isText(value['nic']) && isText(value['reason']);
}
