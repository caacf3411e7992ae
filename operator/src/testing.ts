// Objects for tests, small unless told otherwise. Nothing that ships imports this.
import { API_VERSION, type DataDirectPathSpec, type NodePath } from '@data-direct/crds';

import type { NodeObject, PolicyObject } from './objects.ts';
import { assign } from './assign.ts';
import { readPolicies } from './policy.ts';
import type { NodeReport } from './rollup.ts';

/** Everything that the API server fills in by default. */
const defaults: Omit<DataDirectPathSpec, 'resourceName'> = {
  nics: {},
  dataDirect: 'Preferred',
  whenGpuUnknown: 'Off',
  sharing: { replicas: 1 },
  devices: { rdmaCm: false, umad: false },
  environment: { nccl: true, ucx: true, nvshmem: true, scopeHca: true },
  topologyHints: 'Never',
  verification: { level: 'Probe', interval: '10m' },
};

export function specOf(resourceName: string, spec: Partial<DataDirectPathSpec> = {}): DataDirectPathSpec {
  return { resourceName, ...defaults, ...spec };
}

/** `age`: the greater, the older. */
export function policyOf(name: string, spec: Partial<DataDirectPathSpec> = {}, age = 0): PolicyObject {
  return {
    apiVersion: API_VERSION,
    kind: 'DataDirectPath',
    metadata: {
      name,
      uid: `uid-of-${name}`,
      generation: 1,
      creationTimestamp: new Date(Date.parse('2026-01-01T00:00:00Z') - age * 1000).toISOString(),
    },
    spec: specOf('path', spec),
  };
}

/** The path of NIC `mlx5_<index>`, Paired unless told otherwise. */
export function pathOf(index: number, path: Partial<NodePath> = {}): NodePath {
  return {
    id: `000${index}:03:00.0`,
    name: `mlx5_${index}`,
    resource: 'path',
    nic: { function: 'PF', model: 'ConnectX-8', linkLayer: 'InfiniBand', portState: 'ACTIVE' },
    verified: 'Probe',
    state: 'Ready',
    reason: 'Paired',
    message: 'paired',
    since: '2026-01-01T00:00:00Z',
    ...path,
  };
}

export const unbound: Partial<NodePath> = {
  state: 'Degraded',
  reason: 'DmaDriverNotBound',
  message: '0009:03:00.0 has no driver',
};

export const portDown: Partial<NodePath> = { state: 'Unavailable', reason: 'PortDown', message: 'port 1 is DOWN' };

export interface NodeSketch {
  name?: string;
  labels?: Record<string, string>;
  /** What its agent reports; undefined: it has not reported yet. */
  paths?: NodePath[] | undefined;
  life?: NodeReport['life'];
}

/** A node on which the operator and the agent have done all they had to. */
export function settledNode(policies: readonly PolicyObject[], sketch: NodeSketch = {}): NodeReport {
  const { name = 'node-a', labels = {}, paths, life = 'alive' } = sketch;
  const draft = nodeObject(name, paths);
  const read = readPolicies(policies);
  // NIC conflicts need the paths; entries do not.
  const assignment = assign(read, { name, labels, object: draft });
  return { name, assignment, life, object: { ...draft, spec: { resources: assignment.resources } } };
}

function nodeObject(name: string, paths: NodePath[] | undefined): NodeObject {
  const healthy = (paths ?? []).filter(({ state }) => state !== 'Unavailable').length;
  return {
    apiVersion: API_VERSION,
    kind: 'DataDirectNode',
    metadata: { name, generation: 1 },
    spec: { resources: [] },
    ...(paths && {
      status: { observedGeneration: 1, paths, resources: [{ name: 'path', capacity: paths.length, healthy }] },
    }),
  };
}
