// The PCIe tree as the paths of functions show it: who shares a root port, and what kind of platform that makes. Pure.
import type { PciFunction } from './functions.ts';

/**
 * How GPU memory is reached: DataDirect by DMA functions; Inline behind the NIC's own switch; Numa through root ports
 * of one socket; Unknown where neither NIC and GPU nor a DMA function sit so that we recognise it.
 */
export type Platform = 'DataDirect' | 'Inline' | 'Numa' | 'Unknown';

export interface Topology {
  readonly platform: Platform;
  /** Everything below the root port of `fn`, itself included; below its host bridge where there is no root port (as in a guest). */
  beside(fn: PciFunction): readonly PciFunction[];
}

/** Of one list of functions it is worked out once: who observes, who assesses and who shows it all ask. */
const known = new WeakMap<readonly PciFunction[], Topology>();

export function topologyOf(functions: readonly PciFunction[]): Topology {
  const topology = known.get(functions) ?? workOut(functions);
  known.set(functions, topology);
  return topology;
}

function workOut(functions: readonly PciFunction[]): Topology {
  const complexes = Map.groupBy(functions, complexRoot);
  return {
    platform: platformOf(functions, [...complexes.values()]),
    beside: (fn) => complexes.get(complexRoot(fn)) ?? [],
  };
}

/** The root port above a function, or its host bridge (pci0009:00) where it sits on the root bus itself. */
export function complexRoot({ path, chain }: PciFunction): string {
  const [first = '', below] = chain;
  return below === undefined ? hostBridge(path) : first;
}

/** The root port above a function, or the function itself on the root bus. */
export function rootPortOf({ chain, address }: PciFunction): string {
  return chain[0] ?? address;
}

/** True where a root port stands above the function, so that its subtree is the hardware's and not a hypervisor's. */
export function isBelowRootPort({ chain }: PciFunction): boolean {
  return chain.length > 1;
}

function hostBridge(path: string): string {
  return path.split('/').at(-2) ?? path;
}

function platformOf(functions: readonly PciFunction[], complexes: readonly PciFunction[][]): Platform {
  if (functions.some((fn) => fn.kind === 'dma')) return 'DataDirect';
  if (functions.some((fn) => fn.kind === 'gpu' && fn.chain.length === 2)) return 'Numa';
  const inline = complexes.some((members) => {
    const belowPort = members.filter(isBelowRootPort);
    return belowPort.some((fn) => fn.kind === 'nic') && belowPort.some((fn) => fn.kind === 'gpu');
  });
  return inline ? 'Inline' : 'Unknown';
}
