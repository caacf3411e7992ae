// `data-direct topo`: which NIC reaches which GPU through which DMA function.
import { Observer } from '../path/observe.ts';
import type { Path } from '../path/path.ts';
import type { Command, Terminal } from './command.ts';
import { EXIT, JSON_OPTION } from './command.ts';
import { aligned } from './table.ts';

export const topo: Command = {
  name: 'topo',
  does: 'NICs, their DMA functions and GPUs, as a table',
  options: JSON_OPTION,
  run: async ({ host, given, terminal }) => {
    const paths = await new Observer(host).round({ verification: 'None' });
    if (given['json']) terminal.out(JSON.stringify(paths, undefined, 2));
    else print(paths, terminal);
    return EXIT.done;
  },
};

const HEADER = ['PATH', 'NIC', 'MODEL', 'PORT', 'DMA FUNCTION', 'DRIVER', 'GPU', 'NUMA', 'EVIDENCE', 'REASON'];
const NONE = '-';

function print(paths: readonly Path[], { out, paint }: Terminal): void {
  if (paths.length === 0) return out('no ConnectX or BlueField NIC on this node');
  const [header = '', ...lines] = aligned([HEADER, ...paths.map(row)]);
  out(paint('bold', header));
  for (const [index, line] of lines.entries()) out(paint(COLOURS[paths[index]?.state ?? 'Ready'], line));
  const ready = paths.filter(({ state }) => state === 'Ready').length;
  const rest = ready < paths.length ? '; data-direct check says what the others lack' : '';
  out('');
  out(`${ready} of ${paths.length} ready${rest}`);
}

export const COLOURS = { Ready: 'green', Degraded: 'yellow', Unavailable: 'red' } as const;

function row({ name, nic, dma, gpus, evidence, reason }: Path): string[] {
  return [
    name,
    nic.address,
    `${nic.model ?? 'unknown'}${nic.function === 'VF' ? ' VF' : ''}`,
    [nic.linkLayer, nic.portState].filter((word) => word !== undefined).join(' ') || NONE,
    dma?.address ?? NONE,
    dma?.driver ?? NONE,
    gpus.map(({ address }) => address).join(',') || NONE,
    String((dma ?? nic).numaNode ?? NONE),
    evidence ?? NONE,
    reason,
  ];
}
