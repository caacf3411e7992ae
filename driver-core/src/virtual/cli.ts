// `data-direct virtual …`: changes a running virtual host, lists what it has, or writes a fixture's tree to disk.
import { parseArgs } from 'node:util';

import { aligned } from '../cli/table.ts';
import { CHANGES } from './changes.ts';
import type { Part } from './changes.ts';
import { CONTROL_SOCKET, requestChange, requestParts } from './control.ts';
import { VirtualError } from './errors.ts';
import { createVirtualHost } from './host.ts';
import { FIXTURE_NAMES, loadFixture } from './load.ts';
import { materialise } from './materialise.ts';

export interface Streams {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

const terminal: Streams = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
};

/** The arguments after `virtual`; the exit code: 0 done, 1 refused, 2 misused. */
export async function runVirtual(argv: readonly string[], streams: Streams = terminal): Promise<number> {
  let given;
  try {
    given = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        socket: { type: 'string', default: process.env['DATA_DIRECT_VIRTUAL_SOCKET'] ?? CONTROL_SOCKET },
        lose: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        fixture: { type: 'string', default: 'gb300-tray' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    streams.err(`${(error as Error).message}\n\n${usage()}`);
    return 2;
  }
  const { values, positionals } = given;
  const [command, ...rest] = positionals;
  if (values.help) {
    streams.out(usage());
    return 0;
  }
  if (command === undefined) {
    streams.err(usage());
    return 2;
  }
  try {
    if (command === 'list') await list(values.socket, values.json, streams);
    else if (command === 'materialise') await writeTree(values.fixture, rest, streams);
    else {
      await requestChange(values.socket, positionals, values.lose);
      streams.out(positionals.join(' '));
    }
    return 0;
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
    streams.err(error.message);
    return 1;
  }
}

async function list(socket: string, json: boolean, streams: Streams): Promise<void> {
  const parts = await requestParts(socket);
  streams.out(json ? JSON.stringify(parts, undefined, 2) : table(parts));
}

async function writeTree(fixture: string, [directory, ...surplus]: readonly string[], streams: Streams): Promise<void> {
  if (directory === undefined || surplus.length > 0) {
    const got = surplus.join(' ') || 'nothing';
    throw new VirtualError('CHANGE_INVALID', {
      change: 'materialise',
      argument: '<directory>',
      expected: 'one directory',
      got,
    });
  }
  await materialise(createVirtualHost(await loadFixture(fixture)).sysfsTree, directory);
  streams.out(`${fixture} is at ${directory}`);
}

function table(parts: readonly Part[]): string {
  const rows = parts.map((part) => [
    part.address,
    part.kind,
    part.rdmaDevice ?? '-',
    part.present ? (part.driver ?? 'unbound') : 'removed',
    part.portState ?? '-',
    `${part.iommuGroup ?? '-'}`,
    part.wedged ? 'wedged' : '',
  ]);
  const all = [['ADDRESS', 'KIND', 'RDMA', 'DRIVER', 'PORT', 'IOMMU GROUP', ''], ...rows];
  return aligned(all).join('\n');
}

function usage(): string {
  const changes = CHANGES.map((change) => [`  ${[change.name, ...change.arguments].join(' ')}`, change.does]);
  return [
    'data-direct virtual [--socket PATH] [--lose] <change> <argument>…   change the running virtual host',
    'data-direct virtual [--socket PATH] [--json] list                   what it has',
    'data-direct virtual --fixture NAME|FILE materialise <directory>     write a fixture’s /sys to disk',
    '',
    `--socket   control socket of the agent (default $DATA_DIRECT_VIRTUAL_SOCKET, else ${CONTROL_SOCKET})`,
    '--lose     let those who follow uevents miss this change',
    `--fixture  a dump of rdma_topo, or one of: ${FIXTURE_NAMES.join(', ')}`,
    '',
    'changes:',
    ...aligned(changes),
  ].join('\n');
}
