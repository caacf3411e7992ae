// What is wrong with containers that hold our devices: the environment they were given against what their paths are now. Pure.
import { CONTAINER_REASONS, type ContainerReason, extendedResource } from '@data-direct/crds';

import { dataDirect, environment, gpuElsewhere } from '../allocation/environment.ts';
import type { AddressOfGpu } from '../allocation/gpu-view.ts';
import type { ContainerDevices } from '../kubelet/protocol.ts';
import type { Assignment, Pool } from '../pool.ts';
import type { Env } from './allocations.ts';

export interface ContainerFinding {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly reason: ContainerReason;
  readonly message: string;
}

/** The agent sees no files of a container; `data-direct check --container` does. */
export const JUDGED_REASONS = (Object.keys(CONTAINER_REASONS) as ContainerReason[]).filter(
  (reason) => reason !== 'RuntimeLibraryTooOld',
);

export interface ContainerTruth {
  /** Of every container on the node, our devices and those of others. */
  readonly held: readonly ContainerDevices[];
  /** What the devices' container was given; undefined where nobody remembers. */
  readonly given: (resource: string, ids: readonly string[]) => Env | undefined;
  readonly assignment: Assignment;
  readonly addressOf: AddressOfGpu;
}

/** Sorted by namespace, pod, container; the same truth gives the same answer. A resource that is withdrawn judges nobody. */
export function containerFindings({ held, given, assignment, addressOf }: ContainerTruth): ContainerFinding[] {
  const containers = Map.groupBy(held, (each) => [each.namespace, each.pod, each.container].join('/'));
  return [...containers.keys()].toSorted().flatMap((key) => {
    const devices = containers.get(key) ?? [];
    const [first] = devices;
    if (!first) return [];
    const shares = assignment.pools.flatMap((pool) => shareOf(devices, pool, given));
    const gpus = devices.flatMap(({ resource, ids }) => ids.flatMap((id) => addressOf(resource, id) ?? []));
    const { namespace, pod, container } = first;
    return judged(shares, gpus, assignment).map((finding) => ({ namespace, pod, container, ...finding }));
  });
}

/** What a container holds of one of our resources. */
interface Share {
  readonly pool: Pool;
  readonly ids: readonly string[];
  readonly given: Env | undefined;
}

/** The kubelet lists each device on its own (pkg/kubelet/cm/devicemanager/pod_devices.go), older ones a resource's together. */
function shareOf(devices: readonly ContainerDevices[], pool: Pool, given: ContainerTruth['given']): Share[] {
  const { name } = pool.resource;
  const ids = devices.filter(({ resource }) => resource === extendedResource(name)).flatMap((each) => each.ids);
  return ids.length === 0 ? [] : [{ pool, ids, given: given(name, ids) }];
}

type Judgement = Pick<ContainerFinding, 'reason' | 'message'>;

function judged(shares: readonly Share[], gpus: readonly string[], assignment: Assignment): Judgement[] {
  return [
    ...conflict(shares),
    ...shares.flatMap((share) => stale(share, assignment)),
    ...shares.flatMap((share) => elsewhere(share, gpus, assignment)),
  ];
}

/** The kubelet walks its resources in random order, anew at each start of the container, and the first that sets a variable wins. */
function conflict(shares: readonly Share[]): Judgement[] {
  const given = shares.flatMap(({ given: env }) => (env === undefined ? [] : [env]));
  const names = [...new Set(given.flatMap((env) => Object.keys(env)))].filter(
    (name) => new Set(given.flatMap((env) => env[name] ?? [])).size > 1,
  );
  if (names.length === 0) return [];
  const resources = shares.map(({ pool }) => extendedResource(pool.resource.name)).toSorted();
  const message = `${resources.join(' and ')} give different values of ${names.toSorted().join(', ')}; which one wins is decided anew at each start`;
  return [{ reason: 'EnvironmentConflict', message }];
}

/** Against what Allocate would answer now: it does not know GPUs either. */
function stale({ pool, ids, given }: Share, { paths: node }: Assignment): Judgement[] {
  if (given === undefined) return [];
  const { resource, devices } = pool;
  const gone = ids.filter((id) => !devices.some((device) => device.id === id));
  const holding = { resource, paths: pathsOf(pool, ids), gpus: undefined };
  const now = environment(holding, node);
  const names = [...new Set([...Object.keys(given), ...Object.keys(now)])].filter((name) => given[name] !== now[name]);
  if (names.length === 0) return [];
  const because = gone.length > 0 ? `${gone.join(', ')} is gone` : dataDirect(holding, node).because;
  const changes = names.toSorted().map((name) => `${name} was ${shown(given[name])}, would be ${shown(now[name])}`);
  const message = `${extendedResource(resource.name)}: ${because}; ${changes.join('; ')}`;
  return [{ reason: 'EnvironmentStale', message }];
}

function elsewhere({ pool, ids, given }: Share, gpus: readonly string[], { paths: node }: Assignment): Judgement[] {
  const paths = pathsOf(pool, ids);
  const gpu = gpuElsewhere(paths, gpus);
  // With every path of the node a container loses nothing by it, and a policy that says Disabled never counted on it.
  const unknown = { resource: { ...pool.resource, whenGpuUnknown: 'On' as const }, paths, gpus: undefined };
  const known = { ...unknown, gpus };
  if (gpu === undefined || !dataDirect(unknown, node).on || dataDirect(known, node).on) return [];
  const isOn = given !== undefined && given['NCCL_IB_DATA_DIRECT'] === '1';
  const effect = isOn
    ? 'data direct is on for the container and slow for this GPU'
    : 'data direct is off for the container';
  const names = paths.map(({ name }) => name).join(', ');
  return [{ reason: 'GpuElsewhere', message: `GPU ${gpu} is not beside the DMA function of ${names}: ${effect}` }];
}

function pathsOf({ devices }: Pool, ids: readonly string[]): Pool['paths'] {
  return [...new Set(devices.filter((device) => ids.includes(device.id)).map((device) => device.path))];
}

const SHOWN_CHARACTERS = 64;

function shown(value: string | undefined): string {
  if (value === undefined) return 'unset';
  return value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value;
}
