// Which path belongs to which resource, and the devices the kubelet is told of. Pure; nothing here knows gRPC or sysfs.
import {
  type DataDirectNodeSpec,
  isHealthy,
  type NodeResource,
  resourceOf,
  type SelectableNic,
  stateOf,
} from '@data-direct/crds';
import type { OfferedPath } from './offered.ts';

/** One thing the kubelet can hand out: a path, or one of its replicas. */
export interface Device {
  /** The NIC's PCI address, which survives reboots and renumbered mlx5_N; `::1` … `::n` after it with replicas. */
  readonly id: string;
  readonly path: OfferedPath;
  readonly healthy: boolean;
}

/** One resource with the paths that are its own. */
export interface Pool {
  readonly resource: NodeResource;
  readonly paths: readonly OfferedPath[];
  readonly devices: readonly Device[];
  /** Why the kubelet is told no NUMA nodes although the policy asks for it. */
  readonly hintsRefused?: string;
}

/** What one round decided: every path of the node, and the pools they went to. */
export interface Assignment {
  readonly paths: readonly OfferedPath[];
  readonly pools: readonly Pool[];
}

/**
 * The same truth gives the same answer; the order of paths does not matter. `nicOf` is how policies see a path's NIC, `hintsRefused` why
 * this node gets no topology hints.
 */
export function assign(
  spec: DataDirectNodeSpec,
  observed: readonly OfferedPath[],
  nicOf: (path: OfferedPath) => SelectableNic,
  hintsRefused?: string,
): Assignment {
  const owned = observed
    .toSorted((a, b) => compare(a.id, b.id))
    .map((path) => {
      const nic = nicOf(path);
      const resource = resourceOf(spec.resources, nic);
      return { resource, path: resource ? withExclusion(resource, path, nic) : path };
    });
  return {
    paths: owned.map(({ path }) => path),
    pools: spec.resources.map((resource) => {
      const paths = owned.filter((entry) => entry.resource === resource).map(({ path }) => path);
      const devices = paths.flatMap((path) => devicesOf(resource, path));
      const isRefused = resource.topologyHints === 'DmaNumaNode' && hintsRefused !== undefined;
      return { resource, paths, devices, ...(isRefused && { hintsRefused }) };
    }),
  };
}

/** The path behind a device's id, whether or not there is such a device. */
export function pathIdOf(id: string): string {
  return id.replace(/::\d+$/, '');
}

/** The pool that holds the path of this id. */
export function poolOf(assignment: Assignment, pathId: string): Pool | undefined {
  return assignment.pools.find((pool) => pool.paths.some((path) => path.id === pathId));
}

function withExclusion(resource: NodeResource, path: OfferedPath, { id, name }: SelectableNic): OfferedPath {
  const exclusion = resource.exclude?.find(({ nic }) => nic === id || nic === name);
  if (!exclusion) return path;
  const message = `taken out of service by DataDirectPath ${resource.policy}: ${exclusion.reason}`;
  return { ...path, state: stateOf('Excluded'), reason: 'Excluded', message };
}

function devicesOf(resource: NodeResource, path: OfferedPath): Device[] {
  const healthy = isHealthy(path.reason, resource.dataDirect);
  const { replicas } = resource.sharing;
  if (replicas === 1) return [{ id: path.id, path, healthy }];
  return Array.from({ length: replicas }, (_, index) => ({ id: `${path.id}::${index + 1}`, path, healthy }));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
