// The environment that follows from all paths of one container and what is known of its GPUs. Pure.
import { allowsDataDirect, extendedResource, type NodeResource } from '@data-direct/crds';
import type { Path } from '@data-direct/driver-core';

import { onceFor } from '../once.ts';

/** What one container holds of one resource. */
export interface Holding {
  readonly resource: NodeResource;
  readonly paths: readonly Path[];
  /** PCI addresses of the container's GPUs; undefined where they are not known, as in Allocate. */
  readonly gpus: readonly string[] | undefined;
}

/** Data direct for a container is on for every path or for none. */
export interface Verdict {
  readonly on: boolean;
  /** Half a sentence, for logs and for people. */
  readonly because: string;
}

/**
 * Off unless it is certain that no GPU of the container reaches a DMA function that is not beside it: one such pair was reported at
 * 0.44 GB/s with data direct and 56 without. `node`: every path of the node.
 */
export function dataDirect({ resource, paths, gpus }: Holding, node: readonly Path[]): Verdict {
  const hindered = paths.find((path) => !allowsDataDirect(path.reason, resource.dataDirect));
  if (resource.dataDirect === 'Disabled') return off('the policy says Disabled');
  if (hindered) return off(`${hindered.name} is ${hindered.reason}`);
  if (holdsAll(paths, node)) return on('the container holds every path of the node');
  if (gpus === undefined)
    return resource.whenGpuUnknown === 'On'
      ? on('the GPUs are not known, and the policy says On for that case')
      : off('the container holds some of the node’s paths, and its GPUs are not known');
  const elsewhere = gpuElsewhere(paths, gpus);
  return elsewhere === undefined
    ? on('every GPU is beside the DMA function of a path')
    : off(`GPU ${elsewhere} is not beside the DMA function of any path`);
}

/** The first of these GPUs that is beside the DMA function of none of the paths. */
export function gpuElsewhere(paths: readonly Path[], gpus: readonly string[]): string | undefined {
  const beside = new Set(paths.flatMap((path) => path.gpus.map((gpu) => gpu.address)));
  return gpus.find((gpu) => !beside.has(gpu));
}

/**
 * A NIC that never had a DMA function, such as the node's BlueField, is no part of "every path"; one of the held paths' own kind
 * whose DMA function is missing is: its GPU is beside no DMA function that the container holds.
 */
function holdsAll(paths: readonly Path[], node: readonly Path[]): boolean {
  return node.every(
    ({ id, dma, nic }) =>
      paths.some((held) => held.id === id) ||
      (dma === undefined && paths.every((held) => held.nic.model !== nic.model)),
  );
}

/** The variables of a container. Those of the policy's `extra` come last and win; the pod's own `env` wins over all. */
export function environment(holding: Holding, node: readonly Path[]): Record<string, string> {
  const { resource } = holding;
  const { nccl, ucx, nvshmem, scopeHca, extra } = resource.environment;
  const { on: isOn } = dataDirect(holding, node);
  const devices = holding.paths.flatMap((path) => path.nic.rdmaDevice ?? []);
  return {
    // Any value but 0 is "the plain device and its DMA twin" in NCCL 2.27.3 and 2.27.5 (src/transport/net_ib.cc); 1 is "only the twin"
    // and 2 "both" since 2.27.6, up to 2.30.7 (src/transport/net_ib/init.cc).
    ...(nccl && { NCCL_IB_DATA_DIRECT: isOn ? '1' : '0' }),
    // Table uct_ib_md_config_table, DIRECT_NIC under the prefix IB_ (UCX 1.20.0, src/uct/ib/base/ib_md.c). 1.19 has none.
    ...(ucx && { UCX_IB_DIRECT_NIC: isOn ? 'y' : 'n' }),
    // NVSHMEM 3.4.5, src/modules/transport/common/env_defs.h; read by ibrc, ibdevx and ibgda.
    ...(nvshmem && { NVSHMEM_DISABLE_DATA_DIRECT: isOn ? '0' : '1' }),
    ...(scopeHca && devices.length > 0 && scope(devices)),
    ...describe(holding),
    ...extra,
  };
}

/**
 * Plain device names: each library makes the DMA twin's name (`mlx5_0_dma`) itself, after this filter.
 * NCCL matches prefixes unless the list begins with `=`. UCX and NVSHMEM want the port; a ConnectX-8 function has one.
 * NVSHMEM's words say that it heeds its list only with NVSHMEM_ENABLE_NIC_PE_MAPPING=1; its code does so always (3.4.5,
 * src/modules/transport/ibrc/ibrc.cpp). That one is left to the pod, because it also replaces "the nearest NIC" by round robin
 * (src/host/transport/transport.cpp), which parts GPU and DMA function.
 */
function scope(devices: readonly string[]): Record<string, string> {
  const ports = devices.map((device) => `${device}:1`).join(',');
  return { NCCL_IB_HCA: `=${devices.join(',')}`, UCX_NET_DEVICES: ports, NVSHMEM_HCA_LIST: ports };
}

/** As SR-IOV users know it: the addresses, and details of each as JSON. */
function describe({ resource, paths }: Holding): Record<string, string> {
  const { addresses, info } = variables(resource);
  return {
    [addresses]: paths.map((path) => path.id).join(','),
    [info]: `{${paths.map(detailsMember).join(',')}}`,
  };
}

// Resources and paths are made anew when something changed, and pods come in bursts between.
const variables = onceFor(({ name }: NodeResource) => {
  const addresses = `PCIDEVICE_${extendedResource(name)
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, '_')}`;
  return { addresses, info: `${addresses}_INFO` };
});
const detailsMember = onceFor((path: Path) => `${JSON.stringify(path.id)}:${JSON.stringify(details(path))}`);

function details({ id, nic, dma, gpus, complex }: Path): object {
  return {
    generic: { deviceID: id },
    rdma: { device: nic.rdmaDevice, uverbs: nic.uverbs && `/dev/infiniband/${nic.uverbs}` },
    dataDirect: { dma: dma?.address, gpus: gpus.map((gpu) => gpu.address), complex },
  };
}

function on(because: string): Verdict {
  return { on: true, because };
}

function off(because: string): Verdict {
  return { on: false, because };
}
