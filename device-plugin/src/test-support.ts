// What the tests of this room share: paths of a tray as driver-core would report them, and policies as the operator compiles them.
import { type NodeResource, type PathReason, stateOf } from '@data-direct/crds';
import type { OfferedPath } from './offered.ts';

import { NicMemory } from './nic-memory.ts';
import { nodeSpec } from './node-spec.ts';
import { assign, type Assignment } from './pool.ts';

/** Four ConnectX-8 with their DMA function and GPU, like a GB300 tray; `reasons` by index where one is not Paired. */
export function tray(reasons: Readonly<Record<number, PathReason>> = {}): OfferedPath[] {
  return [0, 1, 2, 3].map((index) => path(index, reasons[index]));
}

export function path(index: number, reason: PathReason = 'Paired'): OfferedPath {
  const id = `000${index}:03:00.0`;
  const numaNode = index < 2 ? 0 : 1;
  return {
    id,
    name: `mlx5_${index}`,
    nic: {
      address: id,
      function: 'PF',
      model: 'ConnectX-8',
      rdmaDevice: `mlx5_${index}`,
      uverbs: `uverbs${index}`,
      umad: [`umad${index}`],
      netdevs: [],
      linkLayer: 'InfiniBand',
      portState: 'ACTIVE',
      driver: 'mlx5_core',
      numaNode,
      iommuGroup: `${index}`,
      defaultRoute: false,
    },
    dma:
      reason === 'NoDmaFunction'
        ? undefined
        : {
            address: `001${index}:03:00.0`,
            driver: 'mlx5_ib',
            vuid: `VUID${index}`,
            numaNode,
            iommuGroup: `1${index}`,
          },
    gpus: [{ address: gpu(index), numaNode, iommuGroup: `1${index}` }],
    complex: `complex-${index}`,
    evidence: 'KernelIoctl',
    verified: 'Probe',
    state: stateOf(reason),
    reason,
    message: `mlx5_${index} is ${reason}`,
  };
}

/** The GPU beside path `index`. */
export function gpu(index: number): string {
  return `001${index}:06:00.0`;
}

/** A resource with the schema's defaults. */
export function resource(fields: object = {}): NodeResource {
  const document = { resources: [{ name: 'path', policy: 'gb300', policyGeneration: 1, ...fields }] };
  const [compiled] = nodeSpec(document, 'test', { unknownFields: 'refuse' }).resources;
  if (!compiled) throw new Error('the specification has no resource');
  return compiled;
}

interface Assigned {
  readonly resources?: NodeResource[];
  readonly paths?: OfferedPath[];
  readonly hintsRefused?: string;
}

export function assignment({ resources = [resource()], paths = tray(), hintsRefused }: Assigned = {}): Assignment {
  const nics = new NicMemory();
  return assign({ resources }, paths, (each) => nics.recall(each), hintsRefused);
}
