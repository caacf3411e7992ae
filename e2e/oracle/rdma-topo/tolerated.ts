// Where driver-core may say something else than rdma_topo, and why. At most five rules, none about which DMA function a NIC has;
// the suite fails when a rule is not needed any more.

import type { Difference, Kind } from './differences.ts';
import type { Listed } from './interview.ts';

export interface Rule {
  readonly name: string;
  readonly why: string;
  readonly kind: Exclude<Kind, 'pair'>;
  readonly applies: (difference: Difference, functions: readonly Listed[]) => boolean;
}

export const TOLERATED: readonly Rule[] = [
  {
    name: 'shapes that rdma_topo does not know',
    why: 'It answers for the root ports, switches and depths of the machines it was written for, and asks to be told of others. Pairs do not depend on position, so driver-core answers below any port, as in a virtual machine or on the next platform.',
    kind: 'refusal',
    applies: ({ rdmaTopo }) =>
      /unrecognized upstream path|No supported topology|Could not find root port|Multiple (CX NIC|GPU) DSPs/.test(
        rdmaTopo,
      ),
  },
  {
    name: 'ports with nothing behind them, and functions of the GPU itself',
    why: 'They move no data, so a complex that has them works all the same.',
    kind: 'refusal',
    applies: ({ rdmaTopo, about }, functions) =>
      rdmaTopo.includes('unexpected PCI devices') && foreignTo(about, functions).length === 0,
  },
  {
    name: 'neither function is in any iommu group',
    why: 'Without IOMMU the GPU driver compares no group with no group, and accepts (kernel-open/nvidia/nv-pci.c).',
    kind: 'iommu groups',
    applies: ({ ours }) => ours.startsWith('undefined and undefined'),
  },
];

/** What shares the root port of the DMA function and is neither bridge nor in the slot of a GPU. */
function foreignTo(dma: string | undefined, functions: readonly Listed[]): Listed[] {
  const root = functions.find(({ address }) => address === dma)?.root;
  const beside = functions.filter((each) => each.root === root && each.address !== dma && each.kind !== 'bridge');
  const gpuSlots = new Set(beside.filter(({ kind }) => kind === 'gpu').map(slotOf));
  return beside.filter((each) => !gpuSlots.has(slotOf(each)));
}

function slotOf({ address }: Listed): string {
  return address.slice(0, address.lastIndexOf('.'));
}
