// From what was seen to what it means: one path for each NIC. Pure: no I/O, no clock. What can be wrong with a path stands in checks.ts.
import { stateOf } from '@data-direct/crds';

import type { Pairing } from '../binding/evidence.ts';
import { pair, serialOf, vuidOf } from '../binding/evidence.ts';
import type { PciFunction } from '../pci/functions.ts';
import type { Topology } from '../pci/topology.ts';
import { complexRoot, isBelowRootPort, rootPortOf, topologyOf } from '../pci/topology.ts';
import type { PortAcs } from './acs.ts';
import { assessAcs } from './acs.ts';
import type { Case } from './checks.ts';
import { judge } from './checks.ts';
import type { DmaFunction, GpuFunction, NicFunction, Path } from './path.ts';
import type { DmaSeen, GpuSeen, NicSeen, Snapshot } from './snapshot.ts';

/** In the order of the snapshot's NICs. */
export function assess(snapshot: Snapshot): Path[] {
  const topology = topologyOf(snapshot.functions);
  const ports = assessAcs(snapshot, topology);
  // Many VFs share one DMA function.
  const around = new Map(snapshot.dmas.map((dma) => [dma, aroundDma(snapshot, topology, ports, dma)]));
  return pair(snapshot.nics, snapshot.dmas).map((pairing) => {
    const { nic, dma } = pairing;
    const surroundings = (dma && around.get(dma)) ?? aroundNic(snapshot, topology, nic);
    return toPath(toCase(snapshot, topology, pairing, surroundings));
  });
}

type Surroundings = Pick<Case, 'gpus' | 'strangers' | 'ports'>;

function toCase(snapshot: Snapshot, { platform }: Topology, pairing: Pairing, surroundings: Surroundings): Case {
  const { nic } = pairing;
  return {
    ...pairing,
    ...surroundings,
    called: nic.rdmaDevice === undefined ? nic.id : `${nic.rdmaDevice} (${nic.id})`,
    platform,
    dmas: snapshot.dmas,
    rdmaNamespacesShared: snapshot.rdmaNamespacesShared,
  };
}

function aroundDma({ gpus }: Snapshot, topology: Topology, ports: readonly PortAcs[], dma: DmaSeen): Surroundings {
  const neighbours = topology.beside(dma.fn);
  const itsRoot = rootPortOf(dma.fn);
  return {
    gpus: gpus.filter(({ fn }) => neighbours.includes(fn)),
    strangers: strangersAmong(neighbours, dma),
    ports: ports.filter(({ root, role }) => role !== 'Other' && root === itsRoot),
  };
}

/** GPUs are looked for beside the DMA function; beside the NIC only on platforms that have none. */
function aroundNic({ gpus }: Snapshot, topology: Topology, nic: NicSeen): Surroundings {
  const nothing = { gpus: [], strangers: [], ports: [] };
  if (topology.platform === 'Numa') return { ...nothing, gpus: onSameNode(gpus, nic) };
  if (topology.platform !== 'Inline') return nothing;
  const neighbours = topology.beside(nic.fn);
  return { ...nothing, gpus: gpus.filter(({ fn }) => neighbours.includes(fn)) };
}

function onSameNode(gpus: readonly GpuSeen[], { numaNode }: NicSeen): GpuSeen[] {
  return numaNode === undefined ? [] : gpus.filter((gpu) => gpu.numaNode === numaNode);
}

/** A hypervisor may put anything on a guest's root bus, so only what shares a root port can be strange. */
function strangersAmong(neighbours: readonly PciFunction[], dma: DmaSeen): PciFunction[] {
  if (!isBelowRootPort(dma.fn)) return [];
  const gpuSlots = new Set(neighbours.filter(({ kind }) => kind === 'gpu').map(slotOf));
  return neighbours.filter((fn) => fn !== dma.fn && fn.kind !== 'bridge' && !gpuSlots.has(slotOf(fn)));
}

function slotOf({ address }: PciFunction): string {
  return address.slice(0, address.lastIndexOf('.'));
}

function toPath(path: Case): Path {
  const { reason, message } = judge(path);
  const { nic, dma, gpus, evidence } = path;
  return {
    id: nic.id,
    name: nic.rdmaDevice ?? nic.id,
    nic: nicFunction(nic),
    dma: dma && dmaFunction(dma),
    gpus: gpus.map(gpuFunction),
    complex: complexName(path),
    evidence,
    verified: nic.kernel?.verified ?? 'None',
    state: stateOf(reason),
    reason,
    message,
  };
}

function complexName({ nic, dma, platform }: Case): string | undefined {
  if (dma) return serialOf(dma.vpd) ?? complexRoot(dma.fn);
  return platform === 'Inline' ? complexRoot(nic.fn) : undefined;
}

function nicFunction(nic: NicSeen): NicFunction {
  return {
    address: nic.fn.address,
    function: nic.function,
    ...(nic.subFunction && { subFunction: { sfnum: nic.subFunction.sfnum, auxiliary: nic.subFunction.auxiliary } }),
    model: nic.model,
    rdmaDevice: nic.rdmaDevice,
    uverbs: nic.uverbs,
    umad: nic.umad,
    netdevs: nic.netdevs,
    linkLayer: nic.linkLayer,
    portState: typeof nic.port === 'string' ? nic.port : undefined,
    driver: nic.driver,
    numaNode: nic.numaNode,
    iommuGroup: nic.iommuGroup,
    defaultRoute: nic.defaultRoute,
  };
}

function dmaFunction({ fn, driver, vpd, numaNode, iommuGroup }: DmaSeen): DmaFunction {
  return { address: fn.address, driver, vuid: vuidOf(vpd), numaNode, iommuGroup };
}

function gpuFunction({ fn, numaNode, iommuGroup }: GpuSeen): GpuFunction {
  return { address: fn.address, numaNode, iommuGroup };
}
