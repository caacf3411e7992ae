// A machine as a few words that a person can read, and random ones of these. Which functions they make is build.ts.

import * as fc from 'fast-check';

/** The VPD of NICs and DMA functions: as made, no file, without keyword V3, all 0xff as off the bus, or broken behind what matters. */
export type VpdKind = 'whole' | 'absent' | 'without V3' | 'blank' | 'without end tag' | 'last keyword too long';

export type RootPort = 'Grace' | 'Vera' | 'Xeon';
export type SwitchKind = 'ConnectX' | 'other';

/** Together in one iommu group, each function in its own, none at all, or DMA function and GPU not alike. */
export type Groups = 'together' | 'apart' | 'none' | 'only the DMA function';

export interface NicSide {
  readonly model: 'ConnectX-8' | 'ConnectX-9';
  /** Physical functions, as many as ports. */
  readonly functions: 1 | 2;
  /** Of the first function. */
  readonly virtualFunctions: number;
  readonly bound: boolean;
  readonly vpd: VpdKind;
  readonly behindSwitch: boolean;
  /** -1: the platform says nothing. */
  readonly numaNode: number;
}

/** What else hangs in a data direct complex. */
export type Stranger = 'NVMe disk' | 'second NIC' | 'empty bridge' | "GPU's audio function";

export interface Complex {
  readonly rootPort: RootPort;
  readonly switches: SwitchKind;
  readonly dma: { readonly bound: boolean; readonly vpd: VpdKind };
  readonly gpus: number;
  /** False: the GPU hangs at the switch that the DMA function hangs at, not at one of its own below it. */
  readonly nested: boolean;
  readonly stranger: Stranger | undefined;
  readonly groups: Groups;
  readonly acs: ComplexAcs;
  readonly numaNode: number;
}

/** Bits 6 to 0 of each port's ACS control register; undefined: the port has no ACS. */
export interface ComplexAcs {
  readonly root: string | undefined;
  readonly towardsDma: string | undefined;
  readonly towardsGpu: string | undefined;
}

/** Functions of one serial (VPD V3): several NICs may share a DMA function, and several DMA functions may claim one NIC. */
export interface Board {
  readonly nics: readonly NicSide[];
  readonly complexes: readonly Complex[];
}

/** NICs and GPUs behind one switch, without DMA function. */
export interface InlineSide {
  readonly rootPort: RootPort;
  readonly switches: SwitchKind;
  readonly nics: number;
  readonly gpus: number;
  /** Address translation services of the NICs: how rdma_topo tells that virtual machines are to be served. */
  readonly ats: boolean;
  /** Of the ports towards NICs and GPUs. */
  readonly acs: string;
  readonly numaNode: number;
}

/** NICs and GPUs of one NUMA node, each right below a root port of its own. */
export interface Socket {
  readonly rootPort: RootPort;
  readonly nics: number;
  readonly gpus: number;
  readonly numaNode: number;
}

export type Other = 'BlueField-3' | 'NVMe disk' | 'ConnectX-7';

export interface Machine {
  /** One for each root port in turn, from the first again when there are not enough. */
  readonly domains: readonly number[];
  readonly boards: readonly Board[];
  readonly inline: readonly InlineSide[];
  readonly sockets: readonly Socket[];
  readonly others: readonly Other[];
}

/** The common case many times as often as each of the others, so that machines of several parts can be whole. */
function mostly<T>(common: T, ...rare: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(common) }, { weight: 1, arbitrary: fc.constantFrom(...rare) });
}

const numaNode = mostly(0, 1, 2, -1);
const vpd = mostly<VpdKind>('whole', 'absent', 'without V3', 'blank', 'without end tag', 'last keyword too long');
const switches = mostly<SwitchKind>('ConnectX', 'other');

const nicSide: fc.Arbitrary<NicSide> = fc.record({
  model: mostly<NicSide['model']>('ConnectX-8', 'ConnectX-9'),
  functions: mostly<1 | 2>(1, 2),
  virtualFunctions: mostly(0, 1, 3),
  bound: mostly(true, false),
  vpd,
  behindSwitch: mostly(true, false),
  numaNode,
});

const bits = fc.nat(0x7f).map((value) => value.toString(2).padStart(7, '0'));
const acs = (right: string): fc.Arbitrary<string | undefined> =>
  fc.oneof({ weight: 8, arbitrary: mostly<string | undefined>(right, '0011101') }, { weight: 1, arbitrary: bits });
const withoutAcs = fc.constantFrom<ComplexAcs>(
  { root: undefined, towardsDma: '0011001', towardsGpu: '0010101' },
  { root: '0011100', towardsDma: undefined, towardsGpu: undefined },
);
const complexAcs: fc.Arbitrary<ComplexAcs> = fc.oneof(
  {
    weight: 15,
    arbitrary: fc.record({ root: acs('0011100'), towardsDma: acs('0011001'), towardsGpu: acs('0010101') }),
  },
  { weight: 1, arbitrary: withoutAcs },
);

/** In the shape that rdma_topo knows. */
const regularComplex = {
  rootPort: fc.constant<RootPort>('Grace'),
  switches: fc.constant<SwitchKind>('ConnectX'),
  dma: fc.record({ bound: mostly(true, false), vpd: fc.constant<VpdKind>('whole') }),
  gpus: fc.constant(1),
  nested: fc.constant(true),
  stranger: fc.constant(undefined),
  groups: mostly<Groups>('together', 'apart', 'none', 'only the DMA function'),
  acs: complexAcs,
  numaNode,
};
const oddComplex: fc.Arbitrary<Complex> = fc.record({
  ...regularComplex,
  rootPort: mostly<RootPort>('Grace', 'Vera', 'Xeon'),
  switches,
  dma: fc.record({ bound: mostly(true, false), vpd }),
  gpus: mostly(1, 0, 2),
  nested: mostly(true, false),
  stranger: mostly<Stranger | undefined>(undefined, 'NVMe disk', 'second NIC', 'empty bridge', "GPU's audio function"),
});

/** Where two DMA functions claim a NIC, rdma_topo must know both, or it cannot say so. */
const board: fc.Arbitrary<Board> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      nics: fc.array(nicSide, { minLength: 1, maxLength: 2 }),
      complexes: fc.array(oddComplex, { maxLength: 1 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ nics: fc.tuple(nicSide), complexes: fc.tuple(fc.record(regularComplex)) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      nics: fc.array(nicSide, { maxLength: 2 }),
      complexes: fc.array(fc.record(regularComplex), { minLength: 1, maxLength: 2 }),
    }),
  },
);

const inlineSide: fc.Arbitrary<InlineSide> = fc.record({
  rootPort: mostly<RootPort>('Xeon', 'Grace'),
  switches,
  nics: mostly(1, 0, 2),
  gpus: mostly(1, 0, 2),
  ats: mostly(false, true),
  acs: fc.oneof(fc.constantFrom('0000000', '0011101', '1011101'), bits),
  numaNode,
});

const socket: fc.Arbitrary<Socket> = fc.record({
  rootPort: fc.constantFrom<RootPort>('Grace', 'Vera', 'Xeon'),
  nics: mostly(1, 0, 2),
  gpus: mostly(1, 0, 2),
  numaNode,
});

/** Four hex digits, five behind some host bridges, or all in one as a virtual machine shows it. */
const domains = fc.oneof(
  { weight: 4, arbitrary: fc.uniqueArray(fc.nat(0xffff), { minLength: 12, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.uniqueArray(fc.nat(0x1ffff), { minLength: 12, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constant([0]) },
);
const others = fc.array(fc.constantFrom<Other>('BlueField-3', 'NVMe disk', 'ConnectX-7'), { maxLength: 2 });
const none = fc.constant([]);

export const anyMachine: fc.Arbitrary<Machine> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      domains,
      boards: fc.array(board, { minLength: 1, maxLength: 3 }),
      inline: none,
      sockets: none,
      others,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      domains,
      boards: none,
      inline: fc.array(inlineSide, { minLength: 1, maxLength: 2 }),
      sockets: none,
      others,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      domains,
      boards: none,
      inline: none,
      sockets: fc.array(socket, { minLength: 1, maxLength: 2 }),
      others,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      domains,
      boards: fc.array(board, { maxLength: 2 }),
      inline: fc.array(inlineSide, { maxLength: 1 }),
      sockets: fc.array(socket, { maxLength: 1 }),
      others,
    }),
  },
);
