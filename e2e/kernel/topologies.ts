// PCI trees for virtual machines that are used more than once.

import type { Bridge } from './boot/topology.ts';

export interface Complex {
  /** Whether DMA function and GPU share an iommu group, as they have to; Linux sets ACS so that they do not. */
  readonly oneGroup: boolean;
}

/**
 * The tree of driver-core's fixture one-domain: two NICs behind root ports, and beside them a complex for each argument,
 * root port → switch → { DMA function; switch → GPU }. Buses for devices: nic0-port, nic1-port,
 * dma0-port, gpu0-port, dma1-port, gpu1-port …
 */
export function oneDomain(complexes: readonly Complex[]): Bridge[] {
  return [
    { id: 'nic0-port', kind: 'root-port', slot: 1 },
    { id: 'nic1-port', kind: 'root-port', slot: 2 },
    ...complexes.flatMap((complex, index) => dataDirectComplex(index, 3 + index, complex)),
  ];
}

function dataDirectComplex(index: number, slot: number, { oneGroup }: Complex): Bridge[] {
  const [complex, shared, towardsGpu, gpuSwitch] = ['complex', 'shared', 'towards-gpu', 'gpu-switch'].map(
    (name) => `${name}${index}`,
  ) as [string, string, string, string];
  return [
    { id: complex, kind: 'root-port', slot, ...(oneGroup ? { acs: 'xx111x0' } : {}) },
    { id: shared, kind: 'switch-upstream', bus: complex, slot: 0 },
    { id: `dma${index}-port`, kind: 'switch-downstream', bus: shared, slot: 0 },
    { id: towardsGpu, kind: 'switch-downstream', bus: shared, slot: 2 },
    { id: gpuSwitch, kind: 'switch-upstream', bus: towardsGpu, slot: 0 },
    { id: `gpu${index}-port`, kind: 'switch-downstream', bus: gpuSwitch, slot: 0 },
  ];
}
