// What part each PCIe port of a node plays: on the way from a DMA function to its GPU, on the way from a NIC to a GPU behind the same switch, or
// in between. Pure. Which ACS bits go with a part stands in path/acs.ts.
import type { PciFunction } from './functions.ts';
import { isGraceRootPort, isSwitchPort, isVeraRootPort, isVirtualFunction } from './ids.ts';
import type { Platform, Topology } from './topology.ts';
import { complexRoot, isBelowRootPort } from './topology.ts';

/**
 * Of a data direct complex: its root port, and the two ports of the shared switch between which traffic turns round. Of an inline one likewise.
 * `Unrecognised`: in a complex that has another shape, so nobody has said what it should be. `Other`: no traffic between NIC and GPU turns there.
 */
export type PortRole =
  | 'ComplexRoot'
  | 'TowardsDma'
  | 'TowardsGpu'
  | 'InlineRoot'
  | 'InlineTowardsNic'
  | 'InlineTowardsGpu'
  | 'Unrecognised'
  | 'Other';

export interface Port {
  readonly fn: PciFunction;
  readonly role: PortRole;
}

/** Of one topology they are worked out once, as the topology is of one list of functions. */
const known = new WeakMap<Topology, readonly Port[]>();

/** Those with a part in a complex, and the others of kinds that belong to such machines. None on a platform that is not recognised. */
export function portsOf(functions: readonly PciFunction[], topology: Topology): readonly Port[] {
  const ports = known.get(topology) ?? workOut(functions, topology);
  known.set(topology, ports);
  return ports;
}

function workOut(functions: readonly PciFunction[], topology: Topology): Port[] {
  if (topology.platform === 'Unknown') return [];
  const roles = new Map<string, PortRole>();
  for (const members of complexes(functions, topology)) {
    for (const [address, role] of rolesIn(members, topology.platform)) roles.set(address, role);
  }
  return functions.flatMap((fn): Port[] => {
    if (fn.kind !== 'bridge') return [];
    const role = roles.get(fn.address);
    if (role !== undefined) return [{ fn, role }];
    return isSwitchPort(fn) || isGraceRootPort(fn) || isVeraRootPort(fn) ? [{ fn, role: 'Other' }] : [];
  });
}

/** The subtrees in which a path runs from one device to another, each with its root port first. */
function complexes(functions: readonly PciFunction[], topology: Topology): PciFunction[][] {
  const kind = ENDS[topology.platform];
  const ends = functions.filter((fn) => fn.kind === kind && isBelowRootPort(fn));
  const roots = new Map(ends.map((fn) => [complexRoot(fn), fn]));
  return [...roots].map(([root, fn]) => [
    ...functions.filter(({ address }) => address === root),
    ...topology.beside(fn),
  ]);
}

/** What marks a complex of a platform. */
const ENDS: Partial<Record<Platform, PciFunction['kind']>> = { DataDirect: 'dma', Inline: 'gpu' };

function rolesIn(members: readonly PciFunction[], platform: Platform): (readonly [string, PortRole])[] {
  const inline = platform === 'Inline';
  const [from, ...moreFrom] = members.filter(inline ? isNic : isDma).filter(isFirstOfSlot);
  const [gpu, ...moreGpus] = members.filter(({ kind }) => kind === 'gpu').filter(isFirstOfSlot);
  const turn = from && gpu && turningPoint(from.chain, gpu.chain);
  const [root] = members;
  const recognised = turn && root && moreFrom.length === 0 && moreGpus.length === 0 && !isVeraRootPort(root);
  if (!recognised)
    return members.filter(({ kind }) => kind === 'bridge').map((fn) => [fn.address, 'Unrecognised'] as const);
  return inline
    ? [
        [root.address, 'InlineRoot'],
        [turn.from, 'InlineTowardsNic'],
        [turn.gpu, 'InlineTowardsGpu'],
      ]
    : [
        [root.address, 'ComplexRoot'],
        [turn.from, 'TowardsDma'],
        [turn.gpu, 'TowardsGpu'],
      ];
}

/** The two ports of one switch, below its upstream port, that lead to two functions. None where they part at the root port, or at no port. */
function turningPoint(from: readonly string[], gpu: readonly string[]): { from: string; gpu: string } | undefined {
  const parting = from.findIndex((address, index) => address !== gpu[index]);
  const [towards, towardsGpu] = [from[parting], gpu[parting]];
  const isSwitch = parting >= 2 && parting < from.length - 1 && parting < gpu.length - 1;
  return isSwitch && towards !== undefined && towardsGpu !== undefined ? { from: towards, gpu: towardsGpu } : undefined;
}

const isDma = ({ kind }: PciFunction): boolean => kind === 'dma';
const isNic = ({ kind, device }: PciFunction): boolean => kind === 'nic' && !isVirtualFunction(device);

/** Ports of one NIC are functions 0 and 1 of one slot, and so is a GPU with what comes along. */
function isFirstOfSlot({ address }: PciFunction, _index: number, all: readonly PciFunction[]): boolean {
  const slot = address.slice(0, -1);
  return all.find((other) => other.address.startsWith(slot))?.address === address;
}
