#!/usr/bin/env node
// `data-direct`: the command line, on a host with or without Kubernetes. Which commands there are; what each does stands in cli/.
import { parseArgs, styleText } from 'node:util';

import type { Command, Given, Terminal } from './cli/command.ts';
import { EXIT } from './cli/command.ts';
import { write, writeToStreams, written } from './cli/output.ts';
import { printable } from './cli/printable.ts';
import { aligned } from './cli/table.ts';
import { topo } from './cli/topo.ts';
import type { Host } from './host/host.ts';
import { leave } from './host/leave.ts';
import { openLinuxHost } from './host/linux.ts';
import { VirtualError } from './virtual/errors.ts';

/** Only the one that is asked for is loaded. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  topo: async () => topo,
  check: async () => (await import('./cli/check.ts')).check,
  verify: async () => (await import('./cli/verify.ts')).verify,
  dump: async () => (await import('./cli/dump.ts')).dump,
  watch: async () => (await import('./cli/watch.ts')).watch,
};

/** `interruption` is asked for by commands that last: what ends by itself may be ended by a signal as any program is. */
export async function run(
  argv: readonly string[],
  terminal: Terminal,
  interruption: () => AbortSignal = () => NEVER,
): Promise<number> {
  const [first, ...rest] = argv;
  if (first === 'virtual') return (await import('./virtual/cli.ts')).runVirtual(rest, terminal);
  const asked = await ask(argv);
  if (asked instanceof Error) return misused(terminal, asked.message);
  const { values, positionals, commands } = asked;
  const { help, from, ...given } = values;
  const [name, ...operands] = positionals;
  if (help === true) {
    terminal.out(await usage());
    return EXIT.done;
  }
  const command = commands.find((known) => known.name === name);
  if (!command)
    return misused(terminal, name === undefined ? 'no command given' : `no command ${JSON.stringify(name)}`);
  if (operands.length > 0 && command.operands === undefined)
    return misused(terminal, `${command.name} takes no argument, got ${JSON.stringify(operands[0])}`);
  const foreign = Object.keys(given).find((option) => !Object.hasOwn(command.options, option));
  if (foreign !== undefined) return misused(terminal, `${command.name} has no --${foreign}`);
  if (from === '') return misused(terminal, '--from takes a file or a shipped fixture, got nothing');
  if (given['json'] === true && given['tree'] === true)
    return misused(terminal, '--json has the whole node, --tree shows it to people: give one of the two');
  if (from !== undefined && given['container'] !== undefined)
    return misused(terminal, '--container looks into a process of this machine, --from at another one');
  try {
    const host = await hostFrom(typeof from === 'string' ? from : undefined, terminal);
    const signal = command.lasts ? interruption() : NEVER;
    return await command.run({ host, given, operands, terminal, signal });
  } catch (error) {
    if (!(error instanceof VirtualError)) throw error;
    terminal.err(error.message);
    return EXIT.failed;
  }
}

const NEVER = new AbortController().signal;

/** A whole machine in memory is not loaded for those who ask about this one. */
async function hostFrom(from: string | undefined, { err }: Terminal): Promise<Host> {
  if (from === undefined) return openLinuxHost();
  const [{ createVirtualHost }, { loadFixture }] = await Promise.all([
    import('./virtual/host.ts'),
    import('./virtual/load.ts'),
  ]);
  const fixture = await loadFixture(from);
  // What the kernel answers stands in our own dumps, which have an entry for the node, and in no dump of rdma_topo.
  if (!fixture.extension)
    err(`note: ${from} does not say what the kernel pairs, so it is taken to follow the serials (VPD V3)`);
  return createVirtualHost(fixture);
}

interface Asked {
  readonly values: Given;
  readonly positionals: readonly string[];
  /** Among which the one that was asked for is, if there is such a one. */
  readonly commands: readonly Command[];
}

/** The command usually stands first; where it does not, or has not such options, all of them are needed to say what is meant. */
async function ask(argv: readonly string[]): Promise<Asked | Error> {
  const [first = ''] = argv;
  const named = Object.hasOwn(COMMANDS, first) ? await COMMANDS[first]?.() : undefined;
  const asked = named && understand(argv, [named]);
  return asked && !(asked instanceof Error) ? asked : understand(argv, await allCommands());
}

function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}

function understand(argv: readonly string[], commands: readonly Command[]): Asked | Error {
  const own = commands.flatMap((command) => Object.entries(command.options));
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(own.map(([name, { type }]) => [name, { type }])),
        from: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return { values, positionals, commands };
  } catch (error) {
    return error as Error;
  }
}

async function misused({ err }: Terminal, problem: string): Promise<number> {
  err(`${problem}\n\n${await usage()}`);
  return EXIT.misused;
}

async function usage(): Promise<string> {
  const { FIXTURE_NAMES } = await import('./virtual/load.ts');
  const commands = (await allCommands()).flatMap(({ name, does, operands = '', options: own }) => [
    [`  ${name} ${operands}`, does],
    ...Object.entries(own).map(([option, { type, does: effect }]) => [
      `    --${option}${type === 'string' ? ' …' : ''}`,
      effect,
    ]),
  ]);
  return [
    'data-direct <command> [--from FILE|FIXTURE] [option]…',
    '',
    ...aligned([...commands, ['  virtual', 'change a running virtual host (data-direct virtual --help)']]),
    '',
    `--from  a node from a file, as data-direct dump or rdma_topo dump writes it, or a shipped one: ${FIXTURE_NAMES.join(', ')}`,
    '',
    'Exit codes: 0 done, 1 failed, 2 misused, 100 check or verify found something that is not right.',
    'Without --from it reads this machine: as root for the VPD, and with access to /dev/infiniband.',
  ].join('\n');
}

/** styleText leaves the text alone where the stream is no terminal or NO_COLOR is set. */
const terminal: Terminal = {
  out: (line) => write(1, `${printable(line)}\n`),
  err: (line) => write(2, `${printable(line)}\n`),
  paint: (format, text) => styleText(format, text, { stream: process.stdout }),
};

/** How long an interrupted command has to clean up; one that waits for a device would take longer. */
const GRACE_MS = 500;

function onSignals(): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort();
    setTimeout(() => leave(EXIT.interrupted), GRACE_MS);
  };
  writeToStreams(interrupt);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
  return interrupted.signal;
}

/** Older ones know no import.meta.main: nothing at all would run, and end like a node on which nothing is wrong. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 2)) {
  write(2, `data-direct needs Node 24.2 or newer, and this is ${process.versions.node}\n`);
  process.exit(EXIT.failed);
}

if (import.meta.main) {
  const status = await run(process.argv.slice(2), terminal, onSignals);
  await written();
  leave(status);
}
