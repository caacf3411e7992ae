// Allocate: from device ids to what a container is given. Pure; a device id is only ever looked up, never made into a path.
import { extendedResource } from '@data-direct/crds';
import type { Path } from '@data-direct/driver-core';

import { AgentError } from '../errors.ts';
import type { ContainerAllocation } from '../kubelet/protocol.ts';
import type { Device, Pool } from '../pool.ts';
import { cdiName } from './cdi.ts';
import { deviceSpecs, type HostPath } from './device-specs.ts';
import { environment } from './environment.ts';

export interface AllocationContext {
  /** Every path of the node. */
  readonly node: readonly Path[];
  readonly hostPath: HostPath;
  /** Whether container runtimes find a CDI device of this name. */
  readonly hasCdiDevice: (name: string) => boolean;
}

/** Throws DEVICE_UNKNOWN, DEVICE_REPEATED or DEVICE_UNHEALTHY, each naming the id. */
export function allocate(
  pool: Pool,
  ids: readonly string[],
  { node, hostPath, hasCdiDevice }: AllocationContext,
): ContainerAllocation {
  const { resource } = pool;
  const asked = ids.map((id, index) => deviceFor(pool, id, ids.indexOf(id) < index).path);
  // In the pool's order: the kubelet asks in none, and two containers with the same paths are to get the same variables.
  const paths = pool.paths.filter((path) => asked.includes(path));
  return {
    // The GPUs are not known here: the kubelet does not say which pod it allocates for.
    envs: environment({ resource, paths, gpus: undefined }, node),
    devices: deviceSpecs(resource, paths, hostPath),
    cdiDevices: paths.map(({ id }) => cdiName(extendedResource(resource.name), id)).filter(hasCdiDevice),
  };
}

function deviceFor(pool: Pool, id: string, isRepeated: boolean): Device {
  const device = pool.devices.find((known) => known.id === id);
  if (device?.healthy && !isRepeated) return device;
  const resource = extendedResource(pool.resource.name);
  const shown = JSON.stringify(id.slice(0, 100)); // a hostile id may hold anything
  if (!device) throw new AgentError('DEVICE_UNKNOWN', `${resource} has no device ${shown}`, { id });
  if (isRepeated) throw new AgentError('DEVICE_REPEATED', `device ${shown} of ${resource} was asked for twice`, { id });
  throw new AgentError(
    'DEVICE_UNHEALTHY',
    `device ${shown} of ${resource} is unhealthy: ${device.path.reason}, ${device.path.message}`,
    { id },
  );
}
