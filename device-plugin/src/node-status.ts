// What DataDirectNode.status says after a round, and which paths changed since the last one. Pure; node-object.ts writes it.
import {
  type Condition,
  CONDITIONS,
  type ContainerStatus,
  type DataDirectNodeStatus,
  type NodePath,
  type NodeResource,
  type PathReason,
} from '@data-direct/crds';
import type { OfferedPath } from './offered.ts';

import type { ContainerFinding } from './containers/findings.ts';
import { type Assignment, type Pool, poolOf } from './pool.ts';

export interface Findings {
  readonly assignment: Assignment;
  /** Whether the kubelet follows the resource now. */
  readonly isRegistered: (resource: string) => boolean;
  /** Devices that containers hold, by resource; undefined where the kubelet could not be asked. */
  readonly allocated: ReadonlyMap<string, number> | undefined;
  /** What is wrong with containers; undefined where the kubelet could not be asked. */
  readonly containers: readonly ContainerFinding[] | undefined;
  /** The generation of spec that was followed; undefined for a spec that is not the API server's. */
  readonly generation: number | undefined;
  /** How often the port of a path was seen to fall. */
  readonly portFalls: (path: string) => number;
  readonly kernel: string;
  readonly agentVersion: string;
  readonly now: Date;
}

/** A path whose reason is another one than before. */
export interface Transition {
  readonly path: NodePath;
  readonly before: PathReason;
}

/** Longer ones are cut: the API server refuses them (crds/src/schema.ts). */
const MESSAGE_LIMIT = 1024;

/** More are refused likewise, and all else with them; a node with many VFs has more. */
const PATHS_LIMIT = 1024;

/** `previous` is the status before this one, of this agent or of the one before it: what has not changed keeps its time. */
export function nodeStatus(findings: Findings, previous: DataDirectNodeStatus | undefined): DataDirectNodeStatus {
  const { assignment, generation, kernel, agentVersion, now } = findings;
  const paths = assignment.paths.map((path) => nodePath(path, poolOf(assignment, path.id), findings, previous));
  const held = paths.filter((path) => path.resource !== undefined);
  const containers = containerStatuses(findings, previous);
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    pathCounts: { total: held.length, ready: held.filter((path) => path.state === 'Ready').length },
    paths: shownPaths(paths),
    resources: assignment.pools.map((pool) => resourceStatus(pool, findings.allocated)),
    ...(containers.length > 0 && { containers }),
    kernel,
    agentVersion,
    conditions: [readyCondition(assignment.pools, held), registeredCondition(findings)].map((condition) => {
      const before = previous?.conditions?.find(({ type }) => type === condition.type);
      const changed = before?.status !== condition.status;
      return {
        ...condition,
        lastTransitionTime: changed ? now.toISOString() : before.lastTransitionTime,
        ...(generation !== undefined && { observedGeneration: generation }),
      };
    }),
  };
}

/** Of paths that a resource holds. A path that is new is no transition. */
export function transitions(previous: DataDirectNodeStatus | undefined, next: DataDirectNodeStatus): Transition[] {
  return (next.paths ?? []).flatMap((path) => {
    const before = previous?.paths?.find(({ id }) => id === path.id)?.reason;
    return before === undefined || before === path.reason || path.resource === undefined ? [] : [{ path, before }];
  });
}

/** What was not found before, by this agent or the one before it. */
export function newContainers(
  previous: DataDirectNodeStatus | undefined,
  { containers = [] }: DataDirectNodeStatus,
): ContainerStatus[] {
  return containers.filter((each) => !previous?.containers?.some((before) => isSameFinding(before, each)));
}

/** More are refused by the API server (crds/src/schema.ts); the metric counts all. */
const CONTAINERS_LIMIT = 128;

/** While the kubelet does not answer, what was found before stands. */
function containerStatuses(
  { containers, now }: Findings,
  previous: DataDirectNodeStatus | undefined,
): ContainerStatus[] {
  if (containers === undefined) return previous?.containers ?? [];
  return distinct(containers)
    .slice(0, CONTAINERS_LIMIT)
    .map((finding) => {
      const before = previous?.containers?.find((each) => isSameFinding(each, finding));
      const message = finding.message.slice(0, MESSAGE_LIMIT);
      return { ...finding, message, since: before?.since ?? now.toISOString() };
    });
}

/** One a reason and container: of two resources with the same fault the first speaks. */
function distinct(findings: readonly ContainerFinding[]): ContainerFinding[] {
  return findings.filter((each, index) => findings.findIndex((other) => isSameFinding(other, each)) === index);
}

type FindingKey = Pick<ContainerFinding, 'namespace' | 'pod' | 'container' | 'reason'>;

function isSameFinding(a: FindingKey, b: FindingKey): boolean {
  return a.namespace === b.namespace && a.pod === b.pod && a.container === b.container && a.reason === b.reason;
}

/** Where there are too many, those that a resource holds come first. */
function shownPaths(paths: readonly NodePath[]): NodePath[] {
  const { held = [], other = [] } = Object.groupBy(paths, ({ resource }) =>
    resource === undefined ? 'other' : 'held',
  );
  return paths.length <= PATHS_LIMIT ? [...paths] : [...held, ...other].slice(0, PATHS_LIMIT);
}

function nodePath(
  path: OfferedPath,
  pool: Pool | undefined,
  findings: Findings,
  previous: DataDirectNodeStatus | undefined,
): NodePath {
  const { now } = findings;
  const portFalls = findings.portFalls(path.id);
  const before = previous?.paths?.find(({ id }) => id === path.id);
  const { function: kind, model, linkLayer, portState, defaultRoute } = path.nic;
  return {
    id: path.id,
    name: path.name,
    ...(pool && { resource: pool.resource.name }),
    nic: { function: kind, ...defined({ model, linkLayer, portState }), ...(defaultRoute && { defaultRoute }) },
    ...(path.dma && {
      dma: { address: path.dma.address, ...defined({ driver: path.dma.driver, vuid: path.dma.vuid }) },
    }),
    gpus: path.gpus.map(({ address, iommuGroup }) => ({ address, ...defined({ iommuGroup }) })),
    ...defined({ complex: path.complex, evidence: path.evidence }),
    verified: path.verified,
    state: path.state,
    reason: path.reason,
    message: path.message.slice(0, MESSAGE_LIMIT),
    since: before?.reason === path.reason ? before.since : now.toISOString(),
    ...(portFalls > 0 && { portFalls }),
  };
}

function resourceStatus(
  { resource, devices, hintsRefused }: Pool,
  allocated: ReadonlyMap<string, number> | undefined,
): NonNullable<DataDirectNodeStatus['resources']>[number] {
  return {
    name: resource.name,
    capacity: devices.length,
    healthy: devices.filter((device) => device.healthy).length,
    ...(allocated && { allocated: allocated.get(resource.name) ?? 0 }),
    ...defined({ hintsRefused }),
  };
}

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The reason is that of the first path which is not as its policy asks: the same word as the path's own. */
function readyCondition(pools: readonly Pool[], held: readonly NodePath[]): Verdict {
  const type = CONDITIONS.Ready;
  const modes = new Map(pools.map(({ resource }) => [resource.name, resource.dataDirect]));
  const wanted = held.filter((path) => path.reason !== 'Excluded');
  const faulty = wanted.filter((path) => !isAsAsked(path, modes.get(path.resource ?? '')));
  const [first] = faulty;
  if (pools.length === 0)
    return { type, status: 'Unknown', reason: 'NoResources', message: 'no policy selects this node' };
  if (held.length === 0) return { type, status: 'False', reason: 'NoPaths', message: 'no NIC is selected' };
  const count = `${wanted.length - faulty.length} of ${wanted.length} paths as asked`;
  if (!first) return { type, status: 'True', reason: 'AllPathsReady', message: count };
  const faults = faulty.slice(0, 4).map(({ name, reason, message }) => `${name} ${reason}: ${message}`);
  return { type, status: 'False', reason: first.reason, message: [count, ...faults].join('; ') };
}

function isAsAsked(path: NodePath, mode: NodeResource['dataDirect'] | undefined): boolean {
  return path.state === 'Ready' || (path.state === 'Degraded' && mode === 'Disabled');
}

function registeredCondition({ assignment, isRegistered }: Findings): Verdict {
  const type = CONDITIONS.Registered;
  const names = assignment.pools.map(({ resource }) => resource.name);
  const missing = names.filter((name) => !isRegistered(name));
  if (missing.length > 0)
    return {
      type,
      status: 'False',
      reason: 'WaitingForKubelet',
      message: `the kubelet does not follow ${missing.join(', ')}`,
    };
  return {
    type,
    status: 'True',
    reason: 'Registered',
    message: `the kubelet follows ${names.join(', ') || 'nothing, as asked'}`,
  };
}

/** The fields that have a value. */
function defined<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
