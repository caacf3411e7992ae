#!/usr/bin/env node
// `data-direct`: the command line, on a host with or without Kubernetes. Which commands there are; what each does stands in cli/.
import { parseArgs, styleText } from 'node:util';

import { check } from './cli/check.ts';
import type { Command, Terminal } from './cli/command.ts';
import { EXIT } from './cli/command.ts';
import { dump } from './cli/dump.ts';
import { aligned } from './cli/table.ts';
import { topo } from './cli/topo.ts';
import type { Host } from './host/host.ts';
import { leave } from './host/leave.ts';
import { openLinuxHost } from './host/linux.ts';
import { runVirtual } from './virtual/cli.ts';
import { VirtualError } from './virtual/errors.ts';
import { createVirtualHost } from './virtual/host.ts';
import { FIXTURE_NAMES, loadFixture } from './virtual/load.ts';

const COMMANDS: readonly Command[] = [topo, check, dump];

export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = argv;
  if (first === 'virtual') return runVirtual(rest, terminal);
  const asked = options(argv);
  if (asked instanceof Error) return misused(terminal, asked.message);
  const { values, positionals } = asked;
  const [name, ...surplus] = positionals;
  if (values.help) {
    terminal.out(usage());
    return EXIT.done;
  }
  const command = COMMANDS.find((known) => known.name === name);
  if (!command)
    return misused(terminal, name === undefined ? 'no command given' : `no command ${JSON.stringify(name)}`);
  if (surplus.length > 0)
    return misused(terminal, `${command.name} takes no argument, got ${JSON.stringify(surplus[0])}`);
  if (values.json && !command.json) return misused(terminal, `${command.name} has no --json`);
  return runOn(command, values, terminal);
}

async function runOn(
  command: Command,
  { from, json }: { from?: string | undefined; json: boolean },
  terminal: Terminal,
): Promise<number> {
  try {
    const host = await hostFrom(from);
    return await command.run(host, { json }, terminal);
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
    terminal.err(error.message);
    return EXIT.failed;
  }
}

async function hostFrom(fixture: string | undefined): Promise<Host> {
  return fixture === undefined ? openLinuxHost() : createVirtualHost(await loadFixture(fixture));
}

function options(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        from: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return error as Error;
  }
}

function misused({ err }: Terminal, problem: string): number {
  err(`${problem}\n\n${usage()}`);
  return EXIT.misused;
}

function usage(): string {
  const commands = [
    ...COMMANDS.map(({ name, does }) => [`  ${name}`, does]),
    ['  virtual', 'change a running virtual host (data-direct virtual --help)'],
  ];
  return [
    'data-direct <command> [--from FILE|FIXTURE] [--json]',
    '',
    ...aligned(commands),
    '',
    `--from  a node from a file, as data-direct dump or rdma_topo dump writes it, or a shipped one: ${FIXTURE_NAMES.join(', ')}`,
    '--json  for programs (topo, check)',
    '',
    'Exit codes: 0 done, 1 failed, 2 misused, 100 check found a path that is not ready.',
    'Without --from it reads this machine: as root for the VPD, and with access to /dev/infiniband.',
  ].join('\n');
}

/** styleText leaves the text alone where the stream is no terminal or NO_COLOR is set. */
const terminal: Terminal = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  paint: (format, text) => styleText(format, text, { stream: process.stdout }),
};

if (import.meta.main) {
  // A reader that has seen enough, such as head, is no failure.
  process.stdout.on('error', () => leave(EXIT.done));
  leave(await run(process.argv.slice(2), terminal));
}
