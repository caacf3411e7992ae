// For tests only: a snapshot of one healthy path, NIC in PCI domain 0 and DMA function with its GPU in domain 9, to be changed at one point.
import { chainOf } from '../pci/address.ts';
import type { PciFunction } from '../pci/functions.ts';
import type { Vpd } from '../pci/vpd.ts';
import type { AcsSeen, DmaSeen, GpuSeen, NicSeen, Snapshot } from './snapshot.ts';

const NIC_PORT = 'devices/pci0000:00/0000:00:00.0';
const DMA_SWITCH = 'devices/pci0009:00/0009:00:00.0/0009:01:00.0';

export const SERIAL = 'a5d80e3c5b7711f08000b45cb5355194';

export function vpdWith(keywords: Readonly<Record<string, string>>): Vpd {
  return { name: undefined, keywords: new Map(Object.entries(keywords)), checksum: undefined, broken: undefined };
}

function bridge(path: string): PciFunction {
  return fn(path, { vendor: 0x10de, device: 0x22b1, class: 0x060400, kind: 'bridge' });
}

export function nicAt(path: string, changes: Partial<NicSeen> = {}): NicSeen {
  const nic = fn(path, { vendor: 0x15b3, device: 0x1023, class: 0x020700, kind: 'nic' });
  return {
    id: nic.address,
    fn: nic,
    subFunction: undefined,
    function: 'PF',
    physicalFunction: undefined,
    model: 'ConnectX-8',
    driver: 'mlx5_core',
    numaNode: 0,
    iommuGroup: '3',
    rdmaDevice: 'mlx5_0',
    uverbs: 'uverbs0',
    umad: ['umad0'],
    fwctl: undefined,
    netdevs: ['ib0'],
    linkLayer: 'InfiniBand',
    port: 'ACTIVE',
    defaultRoute: false,
    vpd: vpdWith({ V3: SERIAL, VU: 'MT2421600CDEMLNXS0D0F0' }),
    kernel: { answer: { dma: '0009:03:00.0' }, refusal: undefined, verified: 'Probe' },
    firmware: undefined,
    ...changes,
  };
}

export function dmaAt(path: string, changes: Partial<DmaSeen> = {}): DmaSeen {
  return {
    fn: fn(path, { vendor: 0x15b3, device: 0x2100, class: 0x080100, kind: 'dma' }),
    driver: 'mlx5_ib',
    incarnation: '1',
    numaNode: 1,
    iommuGroup: '12',
    vpd: vpdWith({ V3: SERIAL, VU: 'MT2421600CDEMLNXDD0' }),
    ...changes,
  };
}

export function gpuAt(path: string, changes: Partial<GpuSeen> = {}): GpuSeen {
  return {
    fn: fn(path, { vendor: 0x10de, device: 0x31c2, class: 0x030200, kind: 'gpu' }),
    driver: 'nvidia',
    numaNode: 1,
    iommuGroup: '12',
    ...changes,
  };
}

export const NIC_PATH = `${NIC_PORT}/0000:03:00.0`;
export const DMA_PATH = `${DMA_SWITCH}/0009:02:00.0/0009:03:00.0`;
export const GPU_PATH = `${DMA_SWITCH}/0009:02:02.0/0009:04:00.0/0009:05:00.0/0009:06:00.0`;

export const BRIDGES = [
  NIC_PORT,
  'devices/pci0009:00/0009:00:00.0',
  DMA_SWITCH,
  `${DMA_SWITCH}/0009:02:00.0`,
  `${DMA_SWITCH}/0009:02:02.0`,
  `${DMA_SWITCH}/0009:02:02.0/0009:04:00.0`,
  `${DMA_SWITCH}/0009:02:02.0/0009:04:00.0/0009:05:00.0`,
].map(bridge);

/** As it should be. */
export const ACS: ReadonlyMap<string, AcsSeen> = new Map<string, AcsSeen>([
  ['0000:00:00.0', 0b0011101],
  ['0009:00:00.0', 0b0011100],
  ['0009:01:00.0', 'absent'],
  ['0009:02:00.0', 0b0011001],
  ['0009:02:02.0', 0b0010101],
  ['0009:04:00.0', 'absent'],
  ['0009:05:00.0', 0b0011101],
]);

interface Parts {
  readonly nics: readonly NicSeen[];
  readonly dmas: readonly DmaSeen[];
  readonly gpus: readonly GpuSeen[];
  /** Functions of no special kind. */
  readonly others: readonly PciFunction[];
  readonly acs: ReadonlyMap<string, AcsSeen>;
  readonly rdmaNamespacesShared: boolean | undefined;
}

/** The healthy path, with the parts given instead of its own. */
export function snapshot(parts: Partial<Parts> = {}): Snapshot {
  const {
    nics = [nicAt(NIC_PATH)],
    dmas = [dmaAt(DMA_PATH)],
    gpus = [gpuAt(GPU_PATH)],
    others = BRIDGES,
    acs = ACS,
    rdmaNamespacesShared = true,
  } = parts;
  const seen = [...nics, ...dmas, ...gpus].map((part) => part.fn);
  const known = { nicsHaveAts: undefined, rdmaNamespacesShared, malformed: [] };
  return { functions: [...others, ...seen], nics, dmas, gpus, acs, ...known };
}

export function withNic(changes: Partial<NicSeen>, parts: Partial<Parts> = {}): Snapshot {
  return snapshot({ nics: [nicAt(NIC_PATH, changes)], ...parts });
}

export function withDma(changes: Partial<DmaSeen>, nic: Partial<NicSeen> = {}): Snapshot {
  return snapshot({ nics: [nicAt(NIC_PATH, nic)], dmas: [dmaAt(DMA_PATH, changes)] });
}

export function stranger(path: string): PciFunction {
  return fn(path, { vendor: 0x144d, device: 0xa80a, class: 0x010802, kind: 'other' });
}

function fn(path: string, ids: Omit<PciFunction, 'address' | 'path' | 'chain'>): PciFunction {
  return { address: path.slice(path.lastIndexOf('/') + 1), path, chain: chainOf(path), ...ids };
}
