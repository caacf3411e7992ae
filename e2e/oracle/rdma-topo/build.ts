// From a description to the machine's functions, in the form of `rdma_topo dump`. Ids and VPD are those of the shipped fixtures. First the
// tree, then the addresses, as firmware finds them: every bridge opens a bus.

import { deflateSync, inflateSync } from 'node:zlib';
import { type FunctionSource, machine } from '../../../driver-core/fixtures/source/function.ts';
import {
  blackwellGpu,
  bluefield3Nic,
  CONNECTX_SWITCH,
  connectx8Nic,
  dmaFunction,
  GRACE_ROOT_PORT,
  XEON_ROOT_PORT,
} from '../../../driver-core/fixtures/source/parts.ts';
import type {
  Complex,
  InlineSide,
  Machine,
  NicSide,
  Other,
  RootPort,
  Socket,
  Stranger,
  SwitchKind,
  VpdKind,
} from './description.ts';

/** Entries of a dump, as loadFixture and `rdma_topo -F` take them. */
export function build({ domains, boards, inline, sockets, others }: Machine): Record<string, unknown>[] {
  const parts = new Parts();
  const roots = [
    ...boards.flatMap(({ nics, complexes }, index) => {
      const serial = `VT2547RAND${index}`;
      return [
        ...nics.map((nic) => parts.nicSide(nic, serial)),
        ...complexes.map((complex) => parts.complex(complex, serial)),
      ];
    }),
    ...inline.map((side) => parts.inlineSide(side)),
    ...sockets.flatMap((socket) => parts.socket(socket)),
    ...others.map((other) => parts.other(other)),
  ];
  return machine({ kernelRelease: '6.12.107', pageSize: 4096 }, addressed(roots, domains)).map(corrected);
}

type Ids = FunctionSource['ids'];

const BRIDGE_CLASS = 0x060400;
const ROOT_PORTS: Readonly<Record<RootPort, Ids>> = {
  Grace: GRACE_ROOT_PORT,
  Vera: { vendor: 0x10de, device: 0x2f95, class: BRIDGE_CLASS },
  Xeon: XEON_ROOT_PORT,
};
const SWITCHES: Readonly<Record<SwitchKind, Ids>> = {
  ConnectX: CONNECTX_SWITCH,
  other: { vendor: 0x1000, device: 0xc030, class: BRIDGE_CLASS },
};
const MODELS = { 'ConnectX-7': 0x1021, 'ConnectX-8': 0x1023, 'ConnectX-9': 0x1025 } as const;
const VIRTUAL_FUNCTION = 0x101e;
const NVME: Ids = { vendor: 0x144d, device: 0xa80a, class: 0x010802 };
const AUDIO: Ids = { vendor: 0x10de, device: 0x22e8, class: 0x040300 };

const ACS_ISOLATED = '0011101';
/** Written by addressed(). */
const LATER = '';
/** A source has a group; what has none says so by this number. */
const NO_GROUP = -1;
/** Marks of what the form of a source has no words for; see corrected(). */
const VPD_KIND = 'VPD kind';
const ATS = 'ATS';

/** A function that sits in the slot of the one before it. */
interface Part extends FunctionSource {
  readonly beside?: true;
  readonly below?: readonly Part[];
}

class Parts {
  #groups = 0;
  #serials = 0;
  #rdmaDevices = 0;
  #gpus = 0;

  nicSide(nic: NicSide, serial: string): Part {
    const place = { iommuGroup: this.#groups++, numaNode: nic.numaNode };
    const physical = Array.from({ length: nic.functions }, (_, index) => ({
      ...withVpd(this.#nic(place, nic.model, serial, nic.bound), nic.vpd),
      ...(index > 0 && { beside: true as const }),
    }));
    const virtual = Array.from({ length: nic.virtualFunctions }, () => this.#virtualFunction(place, nic));
    const functions = [...physical, ...virtual];
    if (!nic.behindSwitch) return bridge('rootPort', GRACE_ROOT_PORT, place, ACS_ISOLATED, functions);
    return bridge('rootPort', GRACE_ROOT_PORT, place, ACS_ISOLATED, [
      bridge('upstream', CONNECTX_SWITCH, place, undefined, [
        bridge('downstream', CONNECTX_SWITCH, place, ACS_ISOLATED, functions),
      ]),
    ]);
  }

  complex(complex: Complex, serial: string): Part {
    const { acs, numaNode, groups } = complex;
    const ids = SWITCHES[complex.switches];
    const first = this.#groups++;
    const gpuGroup = { together: first, apart: this.#groups++, none: NO_GROUP, 'only the DMA function': NO_GROUP }[
      groups
    ];
    const place = { iommuGroup: gpuGroup, numaNode };
    const dma = dmaFunction(LATER, { iommuGroup: groups === 'none' ? NO_GROUP : first, numaNode }, serial);
    const gpus = Array.from({ length: complex.gpus }, () => this.#gpu(place));
    if (complex.stranger === "GPU's audio function" && gpus.length > 0)
      gpus.push({ ...endpoint(AUDIO, place), beside: true });
    const towardsGpu = complex.nested
      ? [bridge('upstream', ids, place, undefined, [bridge('downstream', ids, place, ACS_ISOLATED, gpus)])]
      : gpus;
    return bridge('rootPort', ROOT_PORTS[complex.rootPort], place, acs.root, [
      bridge('upstream', ids, place, undefined, [
        bridge('downstream', ids, place, acs.towardsDma, [
          withVpd({ ...dma, ...(!complex.dma.bound && { virtual: { driver: null } }) }, complex.dma.vpd),
        ]),
        bridge('downstream', ids, place, acs.towardsGpu, towardsGpu),
        ...this.#stranger(complex.stranger, ids, place),
      ]),
    ]);
  }

  inlineSide({ rootPort, switches, nics, gpus, ats, acs, numaNode }: InlineSide): Part {
    const place = { iommuGroup: this.#groups++, numaNode };
    const ids = SWITCHES[switches];
    const port = (...below: Part[]): Part => bridge('downstream', ids, place, acs, below);
    const withAts = (nic: Part): Part => (ats ? { ...nic, virtual: { ...nic.virtual, [ATS]: true } } : nic);
    return bridge('rootPort', ROOT_PORTS[rootPort], place, ACS_ISOLATED, [
      bridge('upstream', ids, place, undefined, [
        ...Array.from({ length: nics }, () => port(withAts(this.#ownNic(place, 'ConnectX-8')))),
        ...Array.from({ length: gpus }, () =>
          port(bridge('upstream', ids, place, undefined, [port(this.#gpu(place))])),
        ),
      ]),
    ]);
  }

  socket({ rootPort, nics, gpus, numaNode }: Socket): Part[] {
    const alone = (make: (place: Place) => Part): Part => {
      const place = { iommuGroup: this.#groups++, numaNode };
      return bridge('rootPort', ROOT_PORTS[rootPort], place, ACS_ISOLATED, [make(place)]);
    };
    return [
      ...Array.from({ length: nics }, () => alone((place) => this.#ownNic(place, 'ConnectX-8'))),
      ...Array.from({ length: gpus }, () => alone((place) => this.#gpu(place))),
    ];
  }

  other(other: Other): Part {
    const place = { iommuGroup: this.#groups++, numaNode: 0 };
    const part = {
      'BlueField-3': () =>
        bluefield3Nic({ ...this.#names('Ethernet'), serial: this.#serial(), address: LATER, ...place }),
      'NVMe disk': () => endpoint(NVME, place),
      'ConnectX-7': () => this.#ownNic(place, 'ConnectX-7'),
    }[other]();
    return bridge('rootPort', GRACE_ROOT_PORT, place, ACS_ISOLATED, [part]);
  }

  #stranger(stranger: Stranger | undefined, ids: Ids, place: Place): Part[] {
    const port = (below: Part[]): Part => bridge('downstream', ids, place, ACS_ISOLATED, below);
    if (stranger === 'NVMe disk') return [port([endpoint(NVME, place)])];
    if (stranger === 'second NIC') return [port([this.#ownNic(place, 'ConnectX-8')])];
    return stranger === 'empty bridge' ? [port([])] : [];
  }

  /** A NIC with a serial that nothing else has. */
  #ownNic(place: Place, model: keyof typeof MODELS): Part {
    return this.#nic(place, model, this.#serial(), true);
  }

  #nic(place: Place, model: keyof typeof MODELS, serial: string, bound: boolean): Part {
    const { linkLayer, ...names } = this.#names('InfiniBand');
    const nic = connectx8Nic({ ...names, linkLayer, serial, address: LATER, ...place });
    return { ...nic, ids: { ...nic.ids, device: MODELS[model] }, ...(!bound && { subsystems: {} }) };
  }

  /** Without a VPD of its own, as most are. */
  #virtualFunction(place: Place, { bound }: NicSide): Part {
    const { vpd: _, ...nic } = this.#nic(place, 'ConnectX-8', LATER, bound);
    return { ...nic, ids: { ...nic.ids, device: VIRTUAL_FUNCTION }, virtual: { physfn: LATER }, beside: true };
  }

  #gpu(place: Place): Part {
    return blackwellGpu(LATER, place, this.#gpus++);
  }

  #names<L extends 'InfiniBand' | 'Ethernet'>(linkLayer: L): { linkLayer: L; rdmaDevice: string; netdev: string } {
    const index = this.#rdmaDevices++;
    return { linkLayer, rdmaDevice: `mlx5_${index}`, netdev: `net${index}` };
  }

  #serial(): string {
    return `VT2547OWN${this.#serials++}`;
  }
}

type Place = Pick<FunctionSource, 'iommuGroup' | 'numaNode'>;

function bridge(
  port: Exclude<FunctionSource['port'], 'endpoint'>,
  ids: Ids,
  place: Place,
  acs: string | undefined,
  below: readonly Part[],
): Part {
  return { address: LATER, port, ids, ...place, below, ...(acs !== undefined && { acs }) };
}

function endpoint(ids: Ids, place: Place): Part {
  return { address: LATER, port: 'endpoint', ids, ...place };
}

function withVpd(part: Part, kind: VpdKind): Part {
  const { vpd, ...rest } = part;
  if (kind === 'absent' || vpd === undefined) return rest;
  if (kind !== 'without V3') return { ...part, virtual: { ...part.virtual, [VPD_KIND]: kind } };
  const { V3: _, ...keywords } = vpd.keywords;
  return { ...rest, vpd: { ...vpd, keywords } };
}

function addressed(roots: readonly Part[], domains: readonly number[]): FunctionSource[] {
  const used = new Map<string, { ports: number; buses: number }>();
  return roots.map((root, index) => {
    const domain = hex(domains[index % domains.length] ?? 0, 4);
    const here = used.get(domain) ?? { ports: 0, buses: 0 };
    used.set(domain, here);
    const nextBus = (): string => `${domain}:${hex(++here.buses, 2)}`;
    return placed(root, `${domain}:00:${hex(here.ports++, 2)}.0`, nextBus);
  });
}

function placed(from: Part, address: string, nextBus: () => string): FunctionSource {
  const { beside: _, ...part } = from;
  if (part.port === 'endpoint') return { ...part, address };
  const bus = nextBus();
  let slot = -1;
  let fn = 0;
  const below = (part.below ?? []).map((child) => {
    fn = child.beside ? fn + 1 : 0;
    if (!child.beside) slot += 1;
    const own = `${bus}:${hex(slot, 2)}`;
    const virtual = child.virtual?.['physfn'] === LATER ? { virtual: { physfn: `${own}.0` } } : {};
    return placed({ ...child, ...virtual }, `${own}.${fn}`, nextBus);
  });
  return { ...part, address, below };
}

/** Puts into an entry what the form of a source has no words for. */
function corrected(entry: Record<string, unknown>): Record<string, unknown> {
  const { [VPD_KIND]: kind, [ATS]: ats, ...virtual } = (entry['virtual'] ?? {}) as Record<string, unknown>;
  return {
    ...entry,
    ...(entry['iommu_group'] === NO_GROUP && { iommu_group: null }),
    ...(kind !== undefined && { vpd: packed(brokenVpd(unpacked(entry['vpd']), kind as VpdKind)) }),
    ...(ats === true && { config: packed(withAtsCapability(unpacked(entry['config']))) }),
    ...(entry['virtual'] !== undefined && { virtual }),
  };
}

/** As the last of an endpoint's extended capabilities, of which it has one: include/uapi/linux/pci_regs.h. */
function withAtsCapability(config: Buffer): Buffer {
  const [first, free] = [0x100, 0x300];
  config.writeUInt32LE((config.readUInt32LE(first) & 0xfffff) + free * 2 ** 20, first);
  config.writeUInt32LE(0x0001_000f, free);
  return config;
}

function brokenVpd(image: Buffer, kind: VpdKind): Buffer {
  if (kind === 'blank') return Buffer.alloc(256, 0xff);
  if (kind === 'without end tag') return image.subarray(0, -1);
  // The checksum is the last keyword: its length stands before its one byte and the end tag.
  if (kind === 'last keyword too long') image.writeUInt8(200, image.length - 3);
  return image;
}

function unpacked(text: unknown): Buffer {
  return inflateSync(Buffer.from(String(text), 'base64'));
}

function packed(bytes: Buffer): string {
  return deflateSync(bytes).toString('base64');
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
