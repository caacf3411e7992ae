// A node as a file, in the form of `rdma_topo dump` (rdma-core, kernel-boot/rdma_topo), so that a report from the field
// becomes a test by --from. What that form has no place for stands under "virtual", where rdma_topo does not look (virtual/fixture.ts).
import { deflateSync } from 'node:zlib';

import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { Path } from '../path/path.ts';
import type { NicSeen, Snapshot } from '../path/snapshot.ts';
import type { PciFunction } from '../pci/functions.ts';
import { listFunctions, readAttachment } from '../pci/functions.ts';
import type { Node } from './node.ts';

/** The class devices that rdma_topo dumps. */
const SUBSYSTEMS = ['drm', 'infiniband', 'net', 'nvme'];

export async function dumpOf(
  host: Host,
  { snapshot, paths: seen }: Pick<Node, 'snapshot' | 'paths'>,
): Promise<object[]> {
  const paths = new Map(seen.map((path) => [path.id, path]));
  const there = present(host);
  const entries = there.map(({ fn, modalias }) => {
    const { physfn, ...extension } = extensionOf(fn, snapshot, paths);
    const pf = there.find((other) => other.fn.address === physfn)?.fn.address;
    return entryOf(host, fn, modalias, { physfn: pf, ...extension });
  });
  return [hostEntry(host, snapshot), ...(await Promise.all(entries))];
}

/** The form cannot do without a configuration space; this is what the bus reads from a function that does not answer. */
const NO_ANSWER = Buffer.alloc(64, 0xff);

/** What goes away meanwhile is left out: of a function without ids, or of a VF without its PF, no node could be made again. */
function present({ sysfs }: Host): { readonly fn: PciFunction; readonly modalias: string }[] {
  return listFunctions(sysfs).flatMap((fn) => {
    const modalias = sysfs.read(`${fn.path}/modalias`);
    return refused(modalias) ? [] : [{ fn, modalias: modalias.toString('latin1').trim() }];
  });
}

async function entryOf(host: Host, fn: PciFunction, modalias: string, extension: object): Promise<object> {
  const { sysfs } = host;
  const { driver, iommuGroup, numaNode } = readAttachment(sysfs, fn);
  // One after the other: they reach the same device.
  const config = await sysfs.readSlow(`${fn.path}/config`, fn.address);
  const vpd = await sysfs.readSlow(`${fn.path}/vpd`, fn.address);
  return {
    realpath: `/sys/${fn.path}`,
    config: compressed(refused(config) ? NO_ANSWER : config),
    modalias,
    iommu_group: iommuGroup === undefined ? null : Number(iommuGroup),
    numa_node: numaNode ?? -1,
    ...(refused(vpd) ? {} : { vpd: compressed(vpd) }),
    subsystems: Object.fromEntries(
      SUBSYSTEMS.flatMap((subsystem) => {
        const names = sysfs.list(`${fn.path}/${subsystem}`);
        return refused(names) || names.length === 0 ? [] : [[subsystem, names]];
      }),
    ),
    virtual: { driver: driver ?? null, ...extension },
  };
}

interface Extension {
  readonly physfn?: string | undefined;
  readonly [fact: string]: unknown;
}

function extensionOf(fn: PciFunction, { nics }: Snapshot, paths: ReadonlyMap<string, Path>): Extension {
  const nic = nics.find((other) => other.fn.address === fn.address);
  if (!nic) return {};
  const { linkLayer, physicalFunction: physfn, port } = nic;
  const portState = typeof port === 'string' ? port : undefined;
  return { physfn, linkLayer, portState, ...firmwareOf(nic), ...vuidOf(nic, paths.get(fn.address)) };
}

function firmwareOf({ firmware }: NicSeen): { queryVuid?: boolean; crossingVhcaMkey?: boolean } {
  const capabilities = firmware?.capabilities;
  return capabilities ? { queryVuid: capabilities.queryVuid, crossingVhcaMkey: capabilities.crossingVhcaMkey } : {};
}

/** What the firmware said, where it was asked; else what the kernel made of it. Where neither spoke, the VPD does (VPD V3). */
function vuidOf({ kernel, firmware }: NicSeen, path: Path | undefined): { vuid?: string | null } {
  if (firmware?.vuid !== undefined) return { vuid: firmware.vuid };
  if (firmware?.capabilities?.dataDirect === false) return { vuid: null };
  // Capable, and no more is known: then the kernel could not ask either.
  if (firmware?.capabilities?.queryVuid === false) return {};
  if (path?.evidence === 'KernelIoctl' && path.dma?.vuid !== undefined) return { vuid: path.dma.vuid };
  const pairedWithNone = kernel?.answer !== undefined && kernel.answer.dma === undefined;
  return pairedWithNone && path?.dma === undefined ? { vuid: null } : {};
}

/** rdma_topo passes over an entry whose path does not end in a PCI address. */
function hostEntry({ kernelRelease, pageSize }: Host, { nics, rdmaNamespacesShared }: Snapshot): object {
  const defaultRoute = nics.find((nic) => nic.defaultRoute)?.netdevs[0];
  const rdmaNamespaces = rdmaNamespacesShared === undefined ? undefined : rdmaNamespacesShared ? 'shared' : 'exclusive';
  return {
    realpath: '/sys',
    config: compressed(Buffer.alloc(0)),
    modalias: '',
    virtual: { kernelRelease, pageSize, defaultRoute, rdmaNamespaces },
  };
}

function compressed(bytes: Buffer): string {
  return deflateSync(bytes).toString('base64');
}
