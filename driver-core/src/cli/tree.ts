// The PCI tree around a node's paths, as text: what hangs below the root ports of NICs, DMA functions and their GPUs.
import type { PortAcs } from '../path/acs.ts';
import type { Path } from '../path/path.ts';
import type { PciFunction } from '../pci/functions.ts';
import { rootPortOf } from '../pci/topology.ts';
import type { Terminal } from './command.ts';
import type { Node } from './node.ts';
import { COLOURS, ROLES } from './shown.ts';

interface Place {
  /** PCI address, and of an SF what it is on its PF. */
  readonly called: string;
  readonly says: string;
  readonly below: readonly Place[];
}

type Paint = Terminal['paint'];

export function printTree(node: Node, { out, paint }: Terminal): void {
  for (const root of placesOf(node, paint)) {
    out(`${root.called}  ${root.says}`);
    for (const line of linesBelow(root, '')) out(line);
  }
}

function* linesBelow({ below }: Place, indent: string): Generator<string> {
  for (const [index, place] of below.entries()) {
    const last = index === below.length - 1;
    yield `${indent}${last ? '└─ ' : '├─ '}${place.called}  ${place.says}`;
    yield* linesBelow(place, `${indent}${last ? '   ' : '│  '}`);
  }
}

/** Root ports of everything that belongs to a path, sorted as the functions are. */
function placesOf(node: Node, paint: Paint): Place[] {
  const { functions, nics, dmas, gpus } = node.snapshot;
  const describe = describer(node, paint);
  const subFunctions = Map.groupBy(
    node.paths.filter(({ nic }) => nic.subFunction),
    ({ nic }) => nic.address,
  );
  const roots = new Set([...nics, ...dmas, ...gpus].map(({ fn }) => rootPortOf(fn)));
  const children = Map.groupBy(functions, ({ chain }) => chain.at(-2));
  const place = (fn: PciFunction): Place => {
    const sfs = (subFunctions.get(fn.address) ?? []).map((path) => subFunctionPlace(path, paint));
    const below = [...sfs, ...(children.get(fn.address) ?? []).map(place)];
    return { called: fn.address, says: describe(fn), below };
  };
  return functions.filter(({ address }) => roots.has(address)).map(place);
}

function subFunctionPlace(path: Path, paint: Paint): Place {
  return { called: path.id.slice(path.nic.address.length + 1), says: nicText(path, paint), below: [] };
}

function describer({ snapshot, paths, ports }: Node, paint: Paint): (fn: PciFunction) => string {
  const drivers = new Map([...snapshot.dmas, ...snapshot.gpus].map(({ fn, driver }) => [fn.address, driver]));
  const groups = new Map(
    [...snapshot.dmas, ...snapshot.gpus].map(({ fn, iommuGroup }) => [
      fn.address,
      `iommu group ${iommuGroup ?? 'none'}`,
    ]),
  );
  const port = new Map(ports.map((each) => [each.address, each]));
  return (fn) => {
    const path = paths.find(({ id }) => id === fn.address);
    if (path) return nicText(path, paint);
    if (fn.kind === 'bridge') return portText(port.get(fn.address), fn, paint);
    const driver = drivers.get(fn.address) ?? 'no driver';
    const group = groups.get(fn.address);
    if (fn.kind === 'dma') return `DMA function of ${usersOf(fn, paths)} (${driver}, ${group})`;
    if (fn.kind === 'gpu') return `GPU (${driver}, ${group})`;
    return `${hex(fn.vendor)}:${hex(fn.device)}`;
  };
}

function nicText({ name, nic, dma, state, reason }: Path, paint: Paint): string {
  const facts = [nic.model, nic.linkLayer, nic.portState].filter((word) => word !== undefined).join(' ');
  const by = dma ? `, DMA function ${dma.address}` : '';
  const kind = nic.function === 'PF' ? 'NIC' : nic.function;
  return `${kind} ${name} (${facts || 'nothing known'})${by}: ${paint(COLOURS[state], reason)}`;
}

function portText(port: PortAcs | undefined, { chain }: PciFunction, paint: Paint): string {
  const isRoot = chain.length === 1;
  const plain = isRoot ? 'root port' : 'port';
  const called = (port && ROLES[port.role]) ?? plain;
  if (port?.found === undefined) return called;
  const expected = port.verdict === 'Wrong' ? paint('red', `, expected ${port.expected}`) : '';
  return `${called}, ACS ${port.found}${expected}`;
}

function usersOf({ address }: PciFunction, paths: readonly Path[]): string {
  return paths.flatMap(({ dma, name }) => (dma?.address === address ? [name] : [])).join(', ') || 'no NIC';
}

function hex(number: number): string {
  return number.toString(16).padStart(4, '0');
}
