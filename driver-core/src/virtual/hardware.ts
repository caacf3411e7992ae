// The machine's PCI functions as they stand now: bytes, firmware and what is broken. Assembled from a fixture; what a plain dump leaves
// open is derived here. What the kernel makes of them (drivers, RDMA devices, pairs) is kernel/.
import { refused } from '../host/host.ts';
import type { Errno } from '../host/host.ts';
import { idsOf, virtualFunctions } from './config-space.ts';
import type { PciIds } from './config-space.ts';
import type { ClassDeviceNames, DumpedFunction, Fixture } from './fixture.ts';
import { encodeVpd, readOnlyKeyword } from './vpd.ts';

type LinkLayer = 'InfiniBand' | 'Ethernet';
export type PortState = 'ACTIVE' | 'ARMED' | 'INIT' | 'DOWN';

/** What a NIC's firmware knows and answers. */
export interface Firmware {
  version: string;
  linkLayer: LinkLayer;
  portState: PortState;
  /** The answer to QUERY_VUID(data_direct=1); undefined while the capability is off. */
  dataDirectVuid: string | undefined;
  crossingVhcaMkey: boolean;
  /** Whether QUERY_VUID can be asked; a VF that can be migrated may lack it. */
  queryVuid: boolean;
  /** Whether it makes user contexts, without which there is no DEVX. */
  userContexts: boolean;
  /** Whether one UMR can load more than 65536 pages. */
  umrExtendedTranslationOffset: boolean;
  /** relaxed_ordering_write or relaxed_ordering_read. */
  relaxedOrdering: boolean;
  /** The function's number in commands. */
  readonly vhcaId: number;
  /** Commands that it refuses from user contexts, by opcode, with their status; an errno where the driver did not even say that much. */
  readonly refusesUsers: Map<number, number | Errno>;
  /** Reading the port's state ends so. */
  portRefusal: Errno | undefined;
}

type FunctionKind = 'nic' | 'dma' | 'gpu' | 'nvme' | 'bridge' | 'other';

export interface PciFunction {
  readonly address: string;
  /** As the kernel writes it, below /sys. */
  readonly devpath: string;
  readonly modalias: string;
  readonly ids: PciIds;
  readonly kind: FunctionKind;
  readonly config: Buffer;
  readonly numaNode: number | undefined;
  readonly physfn: string | undefined;
  /** Names that its class devices get while the driver is bound, by subsystem. */
  readonly names: ClassDeviceNames;
  /** The driver that takes it when it is probed. */
  readonly homeDriver: string | undefined;
  /** mlx5_ib makes an RDMA device of it. */
  readonly rdma: boolean;
  /** Of its uverbs node at the start, where the dump says so. */
  readonly uverbsNumber: number | undefined;
  /** NICs only. */
  readonly firmware: Firmware | undefined;
  /** As the fixture has it, so that a broken one can be restored. */
  readonly intactVpd: Buffer | undefined;
  vpd: Buffer | undefined;
  /** Reading the VPD ends so. */
  vpdRefusal: Errno | undefined;
  iommuGroup: number | undefined;
  /** On the bus. */
  present: boolean;
  /** Every call that reaches it blocks. */
  wedged: boolean;
}

export type Hardware = ReadonlyMap<string, PciFunction>;

const MELLANOX = 0x15b3;
const NVIDIA = 0x10de;
const DATA_DIRECT_FUNCTION = 0x2100;

export function assemble(fixture: Fixture): Hardware {
  const physfns = physfnsOf(fixture.functions);
  const functions = fixture.functions.map((dumped, index) =>
    assembleFunction(dumped, { fixture, physfn: physfns.get(dumped.address), index }),
  );
  return new Map(functions.map((one) => [one.address, one]));
}

interface Setting {
  readonly fixture: Fixture;
  readonly physfn: string | undefined;
  readonly index: number;
}

function assembleFunction(dumped: DumpedFunction, { fixture, physfn, index }: Setting): PciFunction {
  const ids = idsOf(dumped.modalias);
  const kind = kindOf(ids);
  return {
    address: dumped.address,
    devpath: dumped.devpath,
    modalias: dumped.modalias,
    ids,
    kind,
    config: Buffer.from(dumped.config),
    numaNode: dumped.numaNode,
    physfn,
    names: dumped.classDevices,
    homeDriver: dumped.extension?.driver ?? homeDrivers[kind],
    rdma: kind === 'nic' && isRdma(dumped),
    uverbsNumber: numberOf(dumped.extension?.uverbs),
    firmware: kind === 'nic' ? firmwareOf(dumped, ids, { fixture, index }) : undefined,
    intactVpd: dumped.vpd,
    vpd: vpdAtStart(dumped, kind, fixture),
    vpdRefusal: undefined,
    iommuGroup: dumped.iommuGroup,
    present: true,
    wedged: false,
  };
}

function kindOf(ids: PciIds): FunctionKind {
  const base = ids.class >> 16;
  if (ids.vendor === MELLANOX && ids.device === DATA_DIRECT_FUNCTION) return 'dma';
  if (ids.vendor === MELLANOX && base === 0x02) return 'nic';
  if (ids.vendor === NVIDIA && base === 0x03) return 'gpu';
  if (ids.class === 0x010802) return 'nvme';
  return base === 0x06 ? 'bridge' : 'other';
}

/** mlx5_ib names its PCI driver after itself up to Linux 7.3, mlx5_dd from about 7.4; a fixture of such a kernel says so. */
const homeDrivers: Readonly<Record<FunctionKind, string | undefined>> = {
  nic: 'mlx5_core',
  dma: 'mlx5_ib',
  gpu: 'nvidia',
  nvme: 'nvme',
  bridge: 'pcieport',
  other: undefined,
};

/** Whether a driver held the function when the fixture was taken. A NIC without class devices in the dump had none. */
export function boundAtStart(dumped: DumpedFunction): boolean {
  if (dumped.extension?.driver !== undefined) return dumped.extension.driver !== null;
  const kind = kindOf(idsOf(dumped.modalias));
  return kind === 'nic'
    ? Object.values(dumped.classDevices).some((names: readonly string[]) => names.length > 0)
    : homeDrivers[kind] !== undefined;
}

function firmwareOf(dumped: DumpedFunction, ids: PciIds, { fixture, index }: Omit<Setting, 'physfn'>): Firmware {
  const said = dumped.extension;
  return {
    version: said?.firmwareVersion ?? '40.44.0208',
    // Class 0x0207 is PCI's own "InfiniBand controller".
    linkLayer: said?.linkLayer ?? (ids.class >> 8 === 0x0207 ? 'InfiniBand' : 'Ethernet'),
    portState: said?.portState ?? 'ACTIVE',
    dataDirectVuid: vuidAtStart(dumped, fixture),
    crossingVhcaMkey: said?.crossingVhcaMkey ?? true,
    queryVuid: said?.queryVuid ?? true,
    userContexts: said?.userContexts ?? true,
    umrExtendedTranslationOffset: true,
    relaxedOrdering: true,
    vhcaId: index + 1,
    refusesUsers: new Map(),
    portRefusal: undefined,
  };
}

/** As the driver saw it when it bound: by the kernel's word where the dump has that, else by the firmware's, else as the serials suggest. */
function vuidAtStart(nic: DumpedFunction, fixture: Fixture): string | undefined {
  const { vuid, pairedWith } = nic.extension ?? {};
  if (pairedWith === null) return unread('partner');
  if (pairedWith !== undefined) return vuidOfDma(pairedWith, fixture);
  return vuid === undefined ? vuidByV3(nic, fixture) : (vuid ?? undefined);
}

/** What nobody could read may not look like anything that was. */
function unread(whose: string): string {
  return `not read: VUID of ${whose}`;
}

/** What stands in its VPD, else what a NIC that the kernel pairs with it is called by. */
function vuidOfDma(address: string, { functions }: Fixture): string {
  const dma = functions.find((other) => other.address === address);
  const partner = functions.find(({ extension }) => extension?.pairedWith === address);
  return (dma && keyword(dma, 'VU')) ?? partner?.extension?.vuid ?? unread(address);
}

/** A DMA function that has its driver had a VPD with a VUID when that took it, whatever could be read of it since. */
function vpdAtStart(dumped: DumpedFunction, kind: FunctionKind, fixture: Fixture): Buffer | undefined {
  const wasBound = kind === 'dma' && typeof dumped.extension?.driver === 'string';
  if (!wasBound || keyword(dumped, 'VU') !== undefined) return dumped.vpd;
  return encodeVpd('', { VU: vuidOfDma(dumped.address, fixture) });
}

/** A NIC that showed a network interface and no RDMA device runs without mlx5_ib, and so does one that had its driver and showed neither. */
function isRdma({ classDevices, extension }: DumpedFunction): boolean {
  return classDevices.infiniband.length > 0 || (classDevices.net.length === 0 && extension?.driver !== 'mlx5_core');
}

function numberOf(uverbs: string | null | undefined): number | undefined {
  return uverbs === undefined || uverbs === null ? undefined : Number(uverbs.slice('uverbs'.length));
}

/** A dump cannot hold what firmware answers. rdma_topo's rule finds it: NIC and DMA function of one adapter share the VPD keyword V3. */
function vuidByV3(nic: DumpedFunction, fixture: Fixture): string | undefined {
  const serial = keyword(nic, 'V3');
  if (serial === undefined) return undefined;
  const partner = fixture.functions.find(
    (other) => kindOf(idsOf(other.modalias)) === 'dma' && keyword(other, 'V3') === serial,
  );
  return partner && keyword(partner, 'VU');
}

function keyword(dumped: DumpedFunction, name: string): string | undefined {
  const value = dumped.vpd && readOnlyKeyword(dumped.vpd, name);
  return value === undefined || refused(value) ? undefined : value;
}

/** VF address → PF address: as the fixture says, else as the PFs' SR-IOV capabilities say. */
function physfnsOf(functions: readonly DumpedFunction[]): Map<string, string> {
  const byRoutingId = new Map(
    functions.map((one) => [`${domainOf(one.address)}/${routingIdOf(one.address)}`, one.address]),
  );
  const physfns = new Map<string, string>();
  for (const pf of functions) {
    for (const id of virtualFunctions(pf.config, routingIdOf(pf.address))) {
      const vf = byRoutingId.get(`${domainOf(pf.address)}/${id}`);
      if (vf !== undefined) physfns.set(vf, pf.address);
    }
  }
  for (const { address, extension } of functions) {
    if (extension?.physfn !== undefined) physfns.set(address, extension.physfn);
  }
  return physfns;
}

function domainOf(address: string): string {
  return address.slice(0, address.indexOf(':'));
}

/** Bus, device and function in the 16 bits that PCI routes by. */
function routingIdOf(address: string): number {
  const [, bus = '0', device = '0', fn = '0'] = /:(..):(..)\.(.)$/.exec(address) ?? [];
  return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn);
}
