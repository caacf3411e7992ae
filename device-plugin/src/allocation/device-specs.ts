// The device nodes of a container: from path to what the container runtime shall make. Pure.
import type { NodeResource } from '@data-direct/crds';
import type { Path } from '@data-direct/driver-core';

import type { DeviceSpec } from '../kubelet/protocol.ts';

/** Where the node outside of the container is found, by its name such as uverbs0. */
export type HostPath = (node: string) => string;

/** Containers always see /dev/infiniband: libibverbs looks nowhere else. Names come from sysfs, never from a device id. */
export function deviceSpecs(resource: NodeResource, paths: readonly Path[], hostPath: HostPath): DeviceSpec[] {
  const { rdmaCm, umad } = resource.devices;
  const names = [
    ...paths.flatMap(({ nic }) => nic.uverbs ?? []),
    ...(umad ? paths.flatMap(({ nic }) => nic.umad) : []),
    ...(rdmaCm ? ['rdma_cm'] : []),
  ];
  return names.map((name) => ({
    containerPath: `/dev/infiniband/${name}`,
    hostPath: hostPath(name),
    permissions: 'rw', // no m: a container has no business making device nodes
  }));
}
