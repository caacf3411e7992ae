// The machine's PCI functions, and the SFs of its NICs, as they stand now: bytes, firmware and what is broken. Assembled from a fixture; what a dump leaves open
// is derived in derive.ts. What the kernel makes of them (drivers, RDMA devices, pairs) is kernel/.
import type { Errno } from '../host/host.ts';
import { idsOf } from './config-space.ts';
import type { PciIds } from './config-space.ts';
import {
  hasRdmaDevice,
  homeDrivers,
  kindOf,
  physfnsOf,
  SF_DRIVER,
  uverbsNumberOf,
  vpdAtStart,
  vuidAtStart,
} from './derive.ts';
import type { FunctionKind } from './derive.ts';
import type { ClassDeviceNames, DumpedFunction, Fixture, PORT_STATES } from './fixture.ts';

type LinkLayer = 'InfiniBand' | 'Ethernet';
export type PortState = (typeof PORT_STATES)[number];

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

export interface PciFunction {
  /** Of an SF that of its PF and its number: 0000:03:00.0/sf88. */
  readonly address: string;
  /** As the kernel writes it, below /sys. */
  readonly devpath: string;
  readonly modalias: string;
  readonly ids: PciIds;
  readonly kind: FunctionKind;
  readonly config: Buffer;
  readonly numaNode: number | undefined;
  /** The PF of a VF or SF. */
  readonly physfn: string | undefined;
  /** Of an SF, which is below its PF and on the auxiliary bus. */
  readonly subFunction: DumpedFunction['subFunction'];
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
    subFunction: dumped.subFunction,
    names: dumped.classDevices,
    homeDriver: dumped.extension?.driver ?? (dumped.subFunction ? SF_DRIVER : homeDrivers[kind]),
    rdma: kind === 'nic' && hasRdmaDevice(dumped),
    uverbsNumber: uverbsNumberOf(dumped),
    firmware: kind === 'nic' ? firmwareOf(dumped, ids, { fixture, index }) : undefined,
    intactVpd: dumped.vpd,
    vpd: vpdAtStart(dumped, fixture),
    vpdRefusal: undefined,
    iommuGroup: dumped.iommuGroup,
    present: true,
    wedged: false,
  };
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
