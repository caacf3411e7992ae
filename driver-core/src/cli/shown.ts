// The words and colours in which the commands show what the rest of driver-core calls by its own names.
import type { PathState } from '@data-direct/crds';

import type { PortRole } from '../pci/ports.ts';

export const COLOURS: Readonly<Record<PathState, 'green' | 'yellow' | 'red'>> = {
  Ready: 'green',
  Degraded: 'yellow',
  Unavailable: 'red',
};

/** Undefined: a port like any other. */
export const ROLES: Readonly<Record<PortRole, string | undefined>> = {
  ComplexRoot: 'root port of DMA function and GPU',
  TowardsDma: 'port towards the DMA function',
  TowardsGpu: 'port towards the GPU',
  InlineRoot: 'root port of NIC and GPU',
  InlineTowardsNic: 'port towards the NIC',
  InlineTowardsGpu: 'port towards the GPU',
  Unrecognised: undefined,
  Other: undefined,
};
