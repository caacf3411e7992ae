// `data-direct topo`: which NIC reaches which GPU through which DMA function, as a table, as the PCI tree, or for programs.
import type { Path } from '../path/path.ts';
import type { Command, Terminal } from './command.ts';
import { EXIT, JSON_OPTION } from './command.ts';
import type { Node } from './node.ts';
import { readNode, tellUnread } from './node.ts';
import { COLOURS } from './shown.ts';
import { aligned } from './table.ts';

export const topo: Command = {
  name: 'topo',
  does: 'NICs, their DMA functions and GPUs, as a table',
  options: { tree: { type: 'boolean', does: 'as the PCI tree, with the ACS of its ports' }, ...JSON_OPTION },
  run: async ({ host, given, terminal }) => {
    const node = await readNode(host, 'None');
    if (given['json']) printJson(node, terminal);
    else if (node.paths.length === 0) terminal.out('no ConnectX or BlueField NIC on this node');
    else if (given['tree']) (await import('./tree.ts')).printTree(node, terminal);
    else printTable(node, terminal);
    tellUnread(node, terminal);
    return EXIT.done;
  },
};

/** What is not known is left out. The format is described in the README and kept. */
function printJson({ kernelRelease, platform, paths, ports, unread, malformed }: Node, { out }: Terminal): void {
  const node = { kernelRelease, platform, paths, ports, unread, malformed };
  out(JSON.stringify({ format: 'data-direct/topo/1', ...node }, undefined, 2));
}

const HEADER = ['PATH', 'NIC', 'MODEL', 'PORT', 'DMA FUNCTION', 'DRIVER', 'GPU', 'NUMA', 'IOMMU', 'EVIDENCE', 'REASON'];
const NONE = '-';

function printTable({ paths }: Node, { out, paint }: Terminal): void {
  const [header = '', ...lines] = aligned([HEADER, ...paths.map(row)]);
  out(paint('bold', header));
  for (const [index, line] of lines.entries()) out(paint(COLOURS[paths[index]?.state ?? 'Ready'], line));
  const ready = paths.filter(({ state }) => state === 'Ready').length;
  if (ready < paths.length)
    out(`\n${ready} of ${paths.length} ready; data-direct check says what the others lack and what to type`);
}

function row({ id, name, nic, dma, gpus, evidence, reason }: Path): string[] {
  return [
    name,
    id,
    nic.model ?? NONE,
    [nic.linkLayer, nic.portState].filter((word) => word !== undefined).join(' ') || NONE,
    dma?.address ?? NONE,
    dma ? (dma.driver ?? 'unbound') : NONE,
    gpus.map(({ address }) => address).join(' ') || NONE,
    `${(dma ?? nic).numaNode ?? NONE}`,
    dma ? groups([dma, ...gpus]) : NONE,
    evidence ?? NONE,
    reason,
  ];
}

/** One where they are equal, as they have to be. */
function groups(functions: readonly { readonly iommuGroup: string | undefined }[]): string {
  return [...new Set(functions.map(({ iommuGroup }) => iommuGroup ?? 'none'))].join('≠');
}
