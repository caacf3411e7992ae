// PCI functions as sysfs shows them: which are NICs, DMA functions, GPUs, bridges, and what hangs on them. Reads attributes that the kernel
// answers from memory; what may reach the device (VPD, port state) is left to path/observe.ts. Who sits beside whom: topology.ts.
import type { Files } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { TellMalformed } from '../host/malformed.ts';
import { malformedAt } from '../host/malformed.ts';
import { chainOf } from './address.ts';
import type { ClassDevices } from './class-devices.ts';
import { DMA_FUNCTION, isVirtualFunction, MELLANOX, NVIDIA } from './ids.ts';

type Kind = 'nic' | 'dma' | 'gpu' | 'bridge' | 'other';

export interface PciFunction {
  readonly address: string;
  /** Below the sysfs root: devices/pci0009:00/0009:00:00.0/… */
  readonly path: string;
  /** The PCI functions on the way from the root bus to it, which is the last. */
  readonly chain: readonly string[];
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass, programming interface. */
  readonly class: number;
  readonly kind: Kind;
}

/** What the kernel has attached to a function. */
export interface Attachment extends Placement {
  readonly driver: string | undefined;
}

/** What may be another while function and driver stay. */
export interface Placement {
  readonly numaNode: number | undefined;
  readonly iommuGroup: string | undefined;
}

/** What a NIC function is to others. */
export interface Virtuality {
  readonly function: 'PF' | 'VF' | 'SF';
  /** The PF of a VF, where it is visible, or of an SF. */
  readonly physicalFunction: string | undefined;
}

/** What the kernel has made of a NIC function. */
export interface NicDevices {
  readonly rdmaDevice: string | undefined;
  readonly uverbs: string | undefined;
  readonly umad: readonly string[];
  readonly fwctl: string | undefined;
  readonly netdevs: readonly string[];
}

const DEVICES = 'bus/pci/devices';
/** How every entry of it begins. */
const UP = '../../../';

/** What was seen before. */
interface KnownFunctions {
  readonly byAddress: ReadonlyMap<string, PciFunction>;
  /** Whether it certainly is where it was. */
  isStill(fn: PciFunction): boolean;
}

const NOTHING_KNOWN: KnownFunctions = { byAddress: new Map(), isStill: () => false };

/**
 * Sorted by address. A function that vanishes while it is read is left out: the next round does not see it either. Of those that are known at most the
 * place is looked at. One whose modalias is malformed is left out and told of: what it is cannot be known.
 */
export function listFunctions(
  sysfs: Files,
  known = NOTHING_KNOWN,
  tell: TellMalformed = () => undefined,
): PciFunction[] {
  const names = sysfs.list(DEVICES);
  if (refused(names)) return [];
  return names.flatMap((name) => {
    const before = known.byAddress.get(name);
    if (before && known.isStill(before)) return before;
    const path = pathOf(sysfs, name);
    if (path === undefined) return [];
    return before?.path === path ? before : (readFunction(sysfs, name, path, tell) ?? []);
  });
}

function readFunction(sysfs: Files, name: string, path: string, tell: TellMalformed): PciFunction | undefined {
  const ids = readIds(sysfs, path, tell);
  return ids && { address: name, path, chain: chainOf(path), ...ids, kind: kindOf(ids) };
}

/** The link is written by the kernel from here to there (fs/sysfs/symlink.c), so its text says what a walk through the tree would find. */
function pathOf(sysfs: Files, name: string): string | undefined {
  const entry = `${DEVICES}/${name}`;
  const target = sysfs.link(entry);
  if (!refused(target) && target.startsWith(`${UP}devices/`) && !target.includes('/..', UP.length))
    return target.slice(UP.length);
  const path = sysfs.real(entry);
  return refused(path) ? undefined : path;
}

interface Ids {
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
}

/** drivers/pci/pci-sysfs.c, modalias_show: one attribute instead of three. */
const MODALIAS =
  /^pci:v([0-9A-F]{8})d([0-9A-F]{8})sv[0-9A-F]{8}sd[0-9A-F]{8}bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})/;

function readIds(sysfs: Files, path: string, tell: TellMalformed): Ids | undefined {
  const bytes = sysfs.read(`${path}/modalias`);
  if (refused(bytes)) {
    // What has just been removed says so with one of these two.
    if (bytes.code !== 'ENOENT' && bytes.code !== 'ENODEV')
      tell({ file: `/sys/${path}/modalias`, offset: 0, rule: MODALIAS_RULE, found: `${bytes.code} (${bytes.number})` });
    return undefined;
  }
  const modalias = bytes.toString('latin1').trim();
  const [, vendor, device, base, sub, interface_] = MODALIAS.exec(modalias) ?? [];
  if (vendor !== undefined)
    return {
      vendor: Number(`0x${vendor}`),
      device: Number(`0x${device}`),
      class: Number(`0x${base}${sub}${interface_}`),
    };
  tell(malformedAt(`/sys/${path}/modalias`, departure(modalias), MODALIAS_RULE, modalias));
  return undefined;
}

/** Its letters as they are, X for a digit. */
const MODALIAS_FORM = 'pci:vXXXXXXXXdXXXXXXXXsvXXXXXXXXsdXXXXXXXXbcXXscXXiXX';
const MODALIAS_RULE = `a PCI modalias, ${MODALIAS_FORM}`;

function departure(modalias: string): number {
  const fits = (letter: string, index: number): boolean =>
    letter === 'X' ? /[0-9A-F]/.test(modalias[index] ?? '') : modalias[index] === letter;
  return Array.from(MODALIAS_FORM).findIndex((letter, index) => !fits(letter, index));
}

function kindOf({ vendor, device, class: pciClass }: Ids): Kind {
  const base = pciClass >> 16;
  if (vendor === MELLANOX && device === DMA_FUNCTION) return 'dma';
  if (vendor === MELLANOX && base === 0x02) return 'nic';
  if (vendor === NVIDIA && base === 0x03) return 'gpu';
  return pciClass >> 8 === 0x0604 ? 'bridge' : 'other';
}

export function readAttachment(sysfs: Files, fn: PciFunction, tell: TellMalformed = () => undefined): Attachment {
  return { driver: readDriver(sysfs, fn.path), ...readPlacement(sysfs, fn, tell) };
}

export function readPlacement(sysfs: Files, { path }: PciFunction, tell: TellMalformed): Placement {
  return {
    numaNode: readNumaNode(sysfs, `${path}/numa_node`, tell),
    iommuGroup: linkName(sysfs, `${path}/iommu_group`),
  };
}

export function readDriver(sysfs: Files, path: string): string | undefined {
  return linkName(sysfs, `${path}/driver`);
}

export function readVirtuality(sysfs: Files, nic: PciFunction): Virtuality {
  const physicalFunction = linkName(sysfs, `${nic.path}/physfn`);
  const isVirtual = physicalFunction !== undefined || isVirtualFunction(nic.device);
  return { function: isVirtual ? 'VF' : 'PF', physicalFunction };
}

export function devicesOf(nic: { readonly path: string }, classes: ClassDevices): NicDevices {
  return {
    ...rdmaDevicesOf(nic, classes),
    fwctl: classes.of(nic, 'fwctl')[0],
    netdevs: classes.of(nic, 'net'),
  };
}

/**
 * A NIC with several planes may have a second RDMA device, for subnet management of each (`rdma dev add … type SMI`, hw/mlx5/main.c,
 * mlx5_ib_add_sub_dev), under any name: it has umad nodes of its own and no uverbs node (core/uverbs_main.c, ib_uverbs_add_one).
 */
function rdmaDevicesOf(
  nic: { readonly path: string },
  classes: ClassDevices,
): Pick<NicDevices, 'rdmaDevice' | 'uverbs' | 'umad'> {
  const [first, ...more] = classes.of(nic, 'infiniband');
  const [uverbs] = classes.of(nic, 'infiniband_verbs');
  const umad = classes.of(nic, 'infiniband_mad');
  if (more.length === 0) return { rdmaDevice: first, uverbs, umad };
  const rdmaDevice = (uverbs === undefined ? undefined : classes.rdmaDeviceOf('infiniband_verbs', uverbs)) ?? first;
  return {
    rdmaDevice,
    uverbs,
    umad: umad.filter((node) => classes.rdmaDeviceOf('infiniband_mad', node) === rdmaDevice),
  };
}

function attribute(sysfs: Files, path: string): string | undefined {
  const bytes = sysfs.read(path);
  return refused(bytes) ? undefined : bytes.toString('latin1').trim();
}

function linkName(sysfs: Files, path: string): string | undefined {
  const target = sysfs.link(path);
  return refused(target) ? undefined : target.slice(target.lastIndexOf('/') + 1);
}

/** -1 means that the platform says nothing. */
function readNumaNode(sysfs: Files, path: string, tell: TellMalformed): number | undefined {
  const text = attribute(sysfs, path);
  if (text === undefined || text === '-1') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  tell(malformedAt(`/sys/${path}`, 0, 'the number of a NUMA node, or -1', text));
  return undefined;
}
