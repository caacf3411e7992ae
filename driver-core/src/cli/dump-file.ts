// A node as a file, in the form of `rdma_topo dump` (rdma-core, kernel-boot/rdma_topo), so that a report from the field
// becomes a test by --from. What that form has no place for stands under "virtual", where rdma_topo does not look (virtual/fixture.ts).
import { deflateSync } from 'node:zlib';

import type { Answer, Host } from '../host/host.ts';
import { Errno, refused } from '../host/host.ts';
import type { Path } from '../path/path.ts';
import type { NicSeen, Snapshot } from '../path/snapshot.ts';
import type { PciFunction } from '../pci/functions.ts';
import { listFunctions, readAttachment } from '../pci/functions.ts';
import type { Refusal } from '../verbs/errors.ts';
import { isVuid, PORT_STATES } from '../virtual/fixture.ts';
import { errnoWord } from '../virtual/kernel/errno.ts';
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
    const nics = snapshot.nics.filter((nic) => nic.fn.address === fn.address);
    const nic = nics.find(({ subFunction }) => !subFunction);
    const physfn = there.find((other) => other.fn.address === nic?.physicalFunction)?.fn.address;
    const subFunctions = nics.flatMap((each) => subFunctionEntry(host, each, paths) ?? []);
    const extension = {
      physfn,
      rdmaDevice: nic?.rdmaDevice,
      ...(nic && extensionOf(nic, paths)),
      ...(subFunctions.length > 0 && { subFunctions }),
    };
    return entryOf(host, fn, modalias, extension);
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

async function entryOf(
  host: Host,
  fn: PciFunction,
  modalias: string,
  { rdmaDevice, ...extension }: Extension,
): Promise<object> {
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
    subsystems: subsystemsOf(host, fn.path, rdmaDevice),
    virtual: { driver: driver ?? null, ...extension, refused: refusedOf({ ...extension.refused, vpd: withheld(vpd) }) },
  };
}

/** The RDMA device itself before one that it has for subnet management: in the form nothing else tells them apart. */
function subsystemsOf({ sysfs }: Host, path: string, rdmaDevice: string | undefined): object {
  const all = SUBSYSTEMS.flatMap((subsystem) => {
    const names = sysfs.list(`${path}/${subsystem}`);
    if (refused(names) || names.length === 0) return [];
    return [[subsystem, names.toSorted((a, b) => Number(b === rdmaDevice) - Number(a === rdmaDevice))]];
  });
  return Object.fromEntries(all) as object;
}

/** rdma_topo knows no SFs: they stand with their PF, where it does not look. */
function subFunctionEntry(host: Host, nic: NicSeen, paths: ReadonlyMap<string, Path>): object | undefined {
  const { subFunction, driver } = nic;
  if (subFunction?.sfnum === undefined) return undefined;
  const { sfnum, path, auxiliary } = subFunction;
  const { refused: refusals = {}, ...extension } = extensionOf(nic, paths);
  return {
    sfnum,
    auxiliary,
    subsystems: subsystemsOf(host, path, nic.rdmaDevice),
    driver: driver ?? null,
    ...extension,
    refused: refusedOf(refusals),
  };
}

/** Most functions have no VPD, of which there is nothing to tell. */
function withheld(vpd: Answer<Buffer>): Errno | undefined {
  return refused(vpd) && vpd.code !== 'ENOENT' ? vpd : undefined;
}

interface Extension {
  readonly rdmaDevice?: string | undefined;
  readonly refused?: Refusals;
  readonly [fact: string]: unknown;
}

/** What could not be had, by the names of virtual/fixture.ts. */
type Refusals = Readonly<Record<string, Errno | undefined>>;

function refusedOf(refusals: Refusals): Readonly<Record<string, string>> | undefined {
  const all = Object.entries(refusals).flatMap(([what, errno]) => (errno ? [[what, errnoWord(errno)]] : []));
  return all.length === 0 ? undefined : (Object.fromEntries(all) as Readonly<Record<string, string>>);
}

function extensionOf(nic: NicSeen, paths: ReadonlyMap<string, Path>): Extension {
  const { id, linkLayer, port, uverbs, rdmaDevice } = nic;
  const portState = PORT_STATES.find((known) => known === port);
  return {
    linkLayer,
    portState,
    ...(rdmaDevice !== undefined && { uverbs: uverbs ?? null }),
    ...firmwareOf(nic),
    ...pairingOf(nic, paths.get(id)),
    refused: { ...refusalsOf(nic), portState: unread(port) },
  };
}

/** Of a state that has no name here nothing can be made again but that it is not known. */
function unread(port: NicSeen['port']): Errno | undefined {
  if (port === undefined || refused(port)) return port;
  return PORT_STATES.some((known) => known === port) ? undefined : new Errno('EBADMSG', 74, port);
}

function firmwareOf({ firmware }: NicSeen): object {
  const capabilities = firmware?.capabilities;
  if (capabilities) return { queryVuid: capabilities.queryVuid, crossingVhcaMkey: capabilities.crossingVhcaMkey };
  return withoutContext(firmware)?.code === 'EINVAL' ? { userContexts: false } : {};
}

function withoutContext(firmware: NicSeen['firmware']): Errno | undefined {
  return firmware?.refusals.find(({ call }) => call === 'GET_CONTEXT with DEVX')?.errno;
}

/**
 * The VUID that the firmware named, else that of the DMA function that the kernel named; and the kernel's word itself where that does not follow from
 * VUIDs. Where neither spoke, the VPD does (VPD V3).
 */
function pairingOf(
  { kernel, firmware }: NicSeen,
  path: Path | undefined,
): { vuid?: string | null; pairedWith?: string | null } {
  const named = firmware?.vuid !== undefined && isVuid(firmware.vuid) ? firmware.vuid : undefined;
  const partner = path?.evidence === 'KernelIoctl' ? path.dma : undefined;
  if (partner) {
    const follows = partner.vuid !== undefined && isVuid(partner.vuid) && (named ?? partner.vuid) === partner.vuid;
    const vuid = named ?? (follows ? partner.vuid : undefined);
    return { ...(vuid !== undefined && { vuid }), ...(!follows && { pairedWith: partner.address }) };
  }
  const withNone = kernel?.answer !== undefined && kernel.answer.dma === undefined;
  if (named !== undefined)
    return { vuid: named, ...(withNone && path?.reason === 'EvidenceConflict' && { pairedWith: null }) };
  if (firmware?.capabilities?.dataDirect === false) return { vuid: null };
  // Capable, and no more is known: then the kernel could not ask either.
  if (firmware?.capabilities?.queryVuid === false) return {};
  return withNone && path?.dma === undefined ? { pairedWith: null } : {};
}

/** By the kernel on the health path, and by the firmware where it was asked. */
function refusalsOf({ kernel, firmware }: NicSeen): Refusals {
  const ofKernel = (call: Refusal['call']) => (kernel?.refusal?.call === call ? kernel.refusal.errno : undefined);
  const ofFirmware = (call: Refusal['call']) => firmware?.refusals.find((refusal) => refusal.call === call)?.errno;
  return {
    open: ofKernel('open'),
    getContext: ofKernel('GET_CONTEXT'),
    path: ofKernel('GET_DATA_DIRECT_SYSFS_PATH'),
    devx: ofFirmware('QUERY_HCA_CAP') ?? withoutContext(firmware),
    queryVuid: ofFirmware('QUERY_VUID'),
  };
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
