// GetPreferredAllocation: which of the free devices the kubelet had better take. Pure, and never an error: on doubt a stable order.
import type { Path } from '@data-direct/driver-core';

import type { Pool } from '../pool.ts';
import type { GpuView } from './gpu-view.ts';

export interface PreferenceRequest {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly size: number;
}

/** What the next device is ranked against. */
interface State {
  readonly gpus: GpuView;
  /** How many devices of each path are chosen already. */
  readonly chosen: ReadonlyMap<string, number>;
  /** Paths of devices that are chosen. */
  readonly paths: readonly Path[];
  /** Where the container is already: by its paths, and by the pod's GPUs. */
  readonly numaNodes: ReadonlySet<number | undefined>;
  /** How many devices of each path are on offer. */
  readonly offered: ReadonlyMap<string, number>;
  /** Paths on offer that are worth counting, by NUMA node. */
  readonly room: ReadonlyMap<number | undefined, number>;
  readonly wanted: number;
}

/** Lower is better. Asked in this order; where all say the same, the order of GPU and PCI addresses decides. */
const RANKS: readonly ((path: Path, state: State) => number)[] = [
  // A second replica of a path gives a container nothing.
  ({ id }, { chosen }) => chosen.get(id) ?? 0,
  besideWantedGpu,
  gpuInUse,
  // Replicas spread: the path of which most are left.
  ({ id }, { offered }) => -(offered.get(id) ?? 0),
  besideChosen,
];

/** An error here would make the kubelet refuse the pod, again and again; what it offers is answered, known or not. */
export function preferred(pool: Pool, { available, mustInclude, size }: PreferenceRequest, gpus: GpuView): string[] {
  const pathOf = new Map(pool.devices.map((device) => [device.id, device.path]));
  const pathsOf = (ids: readonly string[]): Path[] => ids.flatMap((id) => pathOf.get(id) ?? []);
  const chosen = [...new Set(mustInclude)];
  let free = [...new Set(available)].filter((id) => !chosen.includes(id)).toSorted();
  while (chosen.length < size && free.length > 0) {
    const state = stateOf(pool, { chosen: pathsOf(chosen), free: pathsOf(free), wanted: size - chosen.length, gpus });
    const [best] = free
      .map((id) => ({ id, rank: rankOf(pathOf.get(id), state) }))
      .toSorted((a, b) => compare(a.rank, b.rank));
    if (best === undefined) break;
    chosen.push(best.id);
    free = free.filter((id) => id !== best.id);
  }
  return chosen;
}

interface Progress {
  /** One entry a device. */
  readonly chosen: readonly Path[];
  readonly free: readonly Path[];
  readonly wanted: number;
  readonly gpus: GpuView;
}

function stateOf(pool: Pool, { chosen, free, wanted, gpus }: Progress): State {
  const paths = [...new Set(free)];
  const best = Math.min(...paths.map((path) => gpuInUse(path, { gpus })));
  const ofPod = pool.paths.flatMap((path) => path.gpus).filter(({ address }) => gpus.wanted.has(address));
  return {
    gpus,
    wanted,
    paths: chosen,
    numaNodes: new Set([...chosen.map(numaNode), ...ofPod.map((gpu) => gpu.numaNode)]),
    chosen: counted(chosen.map(({ id }) => id)),
    offered: counted(free.map(({ id }) => id)),
    room: counted(paths.filter((path) => gpuInUse(path, { gpus }) === best).map(numaNode)),
  };
}

function rankOf(path: Path | undefined, state: State): readonly (number | string)[] {
  if (path === undefined) return [Number.POSITIVE_INFINITY];
  return [...RANKS.map((rank) => rank(path, state)), path.gpus[0]?.address ?? '', path.id];
}

/** A GPU that the pod has been given and that none of the chosen paths is beside, then any GPU of the pod. */
function besideWantedGpu({ gpus: beside }: Path, { gpus, paths }: State): number {
  const served = new Set(paths.flatMap((path) => path.gpus.map(({ address }) => address)));
  const own = beside.filter(({ address }) => gpus.wanted.has(address));
  if (own.length === 0) return 2;
  return own.some(({ address }) => !served.has(address)) ? 0 : 1;
}

/**
 * Where the pod's GPUs are not known yet, it will be given free ones: a path beside a free GPU may still get it. Where they are known,
 * a path beyond them had better be one whose GPU is gone, so that whole pairs are left for others.
 */
function gpuInUse({ gpus: beside }: Path, { gpus }: Pick<State, 'gpus'>): number {
  if (beside.length === 0) return 1;
  const isFree = beside.some(({ address }) => !gpus.held.has(address));
  return isFree === (gpus.wanted.size === 0) ? 0 : 2;
}

/** The NUMA node of what the container has; before it has anything, one that has room for all of it, else the roomiest. */
function besideChosen(path: Path, { numaNodes, room, wanted }: State): number {
  const own = numaNode(path);
  if (numaNodes.size > 0) return numaNodes.has(own) ? 0 : 1;
  const left = room.get(own) ?? 0;
  return left >= wanted ? 0 : wanted - left;
}

/** Of the DMA function, where the traffic of the GPU goes. */
function numaNode({ dma, nic }: Path): number | undefined {
  return dma?.numaNode ?? nic.numaNode;
}

function counted<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  const [left, right] = [a[index], b[index]];
  if (left === undefined || right === undefined) return 0;
  return left < right ? -1 : 1;
}
