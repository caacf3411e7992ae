// How long `data-direct topo --json` takes as a process, beside rdma_topo and beside interpreters that do nothing, and what one round takes in a
// process that is warm. A tray is written to disk and mounted over /sys, in a mount namespace of this program's own.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { materialise } from '../../../driver-core/src/virtual/materialise.ts';
import { bundle, programs } from '../../../scripts/bundle.ts';
import { hostArchitecture } from '../../../scripts/image/architectures.ts';
import { ensureOracles, type Taken } from '../../oracle/toolchain.ts';
import { ensureInstalled } from '../../rig/debian-install.ts';
import { putSection } from '../document.ts';
import { type Command, median, output, timed, type Times } from './processes.ts';
import { type Kind, KINDS, type Report } from './rounds.ts';
import { type Tray, TRAYS } from './trays.ts';

const tell = (line: string): void => console.log(line);

const RUNS = 21;
const ROUNDS = 200;
/** Two counts that far apart: their difference is free of what the process does besides. */
const COUNTED = [1, 21] as const;
const TYPESCRIPT = ['--conditions=@data-direct/source', '--disable-warning=ExperimentalWarning'];

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { inside: { type: 'string' } } });
  if (values.inside !== undefined) return measure(values.inside);
  if (process.getuid?.() !== 0)
    throw new Error('bench-driver needs root: it mounts trays over /sys in a mount namespace of its own');
  const directory = await mkdtemp(join(tmpdir(), 'data-direct-bench-'));
  try {
    await prepare(directory);
    // A private copy of all mounts: the machine's own /sys stays as it is.
    const again = [...TYPESCRIPT, fileURLToPath(import.meta.url), '--inside', directory];
    execFileSync('unshare', ['--mount', '--propagation', 'private', process.execPath, ...again], { stdio: 'inherit' });
    await putSection('driver', await readFile(join(directory, TABLES), 'utf8'));
  } finally {
    await rm(directory, { recursive: true });
  }
}

const TABLES = 'tables.md';
const RDMA_TOPO = 'rdma_topo.json';

async function prepare(directory: string): Promise<void> {
  await ensureInstalled(
    ['python3', 'strace'].map((name) => ({ file: name, package: name })),
    tell,
  );
  const entries = { 'data-direct': programs['data-direct'] };
  await bundle({ entries, directory: join(directory, 'bundle'), architectures: [hostArchitecture()] });
  const { 'rdma-topo': rdmaTopo } = await ensureOracles(tell);
  await writeFile(join(directory, RDMA_TOPO), JSON.stringify(rdmaTopo));
  for (const name of ['nothing.mjs', 'nothing.py']) await writeFile(join(directory, name), '');
  for (const tray of TRAYS) await materialise(tray.host().sysfsTree, sysfsOf(directory, tray));
}

function sysfsOf(directory: string, { functions }: Tray): string {
  return join(directory, `sys-${functions}`);
}

type Subject = 'empty Node' | 'data-direct topo --json' | 'empty Python' | 'rdma_topo topo -j';

async function measure(directory: string): Promise<void> {
  const rdmaTopo = JSON.parse(await readFile(join(directory, RDMA_TOPO), 'utf8')) as Taken;
  const commands: Readonly<Record<Subject, Command>> = {
    'empty Node': [process.execPath, join(directory, 'nothing.mjs')],
    'data-direct topo --json': [process.execPath, join(directory, 'bundle/data-direct.mjs'), 'topo', '--json'],
    'empty Python': ['python3', join(directory, 'nothing.py')],
    'rdma_topo topo -j': ['python3', rdmaTopo.path, 'topo', '-j'],
  };
  const processes: string[] = [];
  const rounds: string[] = [];
  for (const [index, tray] of TRAYS.entries()) {
    execFileSync('mount', ['--bind', sysfsOf(directory, tray), '/sys']);
    ensureSeen(tray, output(commands['data-direct topo --json']), output(commands['rdma_topo topo -j']));
    processes.push(processRow(tray, timed(commands, RUNS)));
    execFileSync('umount', ['/sys']);
    rounds.push(...roundRows(tray, index, sysfsOf(directory, tray)));
  }
  const text = [machine(rdmaTopo), '', ...table(PROCESS_HEADER, processes), '', ...table(ROUND_HEADER, rounds)].join(
    '\n',
  );
  console.log(text);
  await writeFile(join(directory, TABLES), text);
}

/** A program that reads nothing is fast. */
function ensureSeen({ name }: Tray, ours: string, theirs: string): void {
  const { paths } = JSON.parse(ours) as { paths: readonly { dma: unknown }[] };
  const paired = paths.filter(({ dma }) => dma !== null && dma !== undefined).length;
  const complexes = (JSON.parse(theirs) as readonly unknown[]).length;
  if (paired < complexes || complexes === 0) throw new Error(`${name}: ${paired} paths and ${complexes} complexes`);
}

const OURS: Subject = 'data-direct topo --json';
const SUBJECTS: readonly Subject[] = ['empty Node', 'data-direct topo --json', 'empty Python', 'rdma_topo topo -j'];
const PROCESS_HEADER = ['process, median ms (processor ms)', ...SUBJECTS, '× empty Node', '× rdma_topo'];

function processRow({ name }: Tray, times: Readonly<Record<Subject, Times>>): string {
  const wall = (subject: Subject): number => median(times[subject].milliseconds);
  const processor = (subject: Subject): number => times[subject].processorMs;
  const cells = SUBJECTS.map((subject) => `${wall(subject).toFixed(0)} (${processor(subject).toFixed(0)})`);
  const ratios = (['empty Node', 'rdma_topo topo -j'] as const).map((other) => {
    const [ofWall, ofProcessor] = [wall, processor].map((of) => (of(OURS) / of(other)).toFixed(2));
    return `${ofWall} (${ofProcessor})`;
  });
  return row([name, ...cells, ...ratios]);
}

const ROUND_HEADER = [
  'one round, warm',
  'median ms',
  'processor ms',
  'rounds/s',
  'calls to the host',
  'reach a device',
  'system calls',
];

function roundRows({ name }: Tray, index: number, sysfs: string): string[] {
  const program = fileURLToPath(new URL('rounds.ts', import.meta.url));
  const command: Command = [process.execPath, ...TYPESCRIPT, program, '--tray', String(index), '--sysfs', sysfs];
  const report = JSON.parse(output([...command, '--rounds', String(ROUNDS)])) as Report;
  return KINDS.map((kind) => {
    const { milliseconds, processorMs, calls, reaching } = report[kind];
    const each = median(milliseconds);
    const figures = [
      each.toFixed(1),
      processorMs.toFixed(1),
      (1000 / each).toFixed(0),
      String(calls),
      String(reaching),
    ];
    return row([`${name}, ${kind}`, ...figures, systemCalls(command, kind, join(sysfs, '../strace.txt'))]);
  });
}

/** Of one round; the virtual kernel behind the uverbs nodes makes none. */
function systemCalls(command: Command, kind: Kind, summary: string): string {
  const [few, many] = COUNTED.map((rounds) => {
    output([
      'strace',
      '-f',
      '-c',
      '-U',
      'calls,name',
      '-o',
      summary,
      ...command,
      '--only',
      kind,
      '--rounds',
      `${rounds}`,
    ]);
    return Number(/^\s*(\d+) total$/m.exec(readFileSync(summary, 'utf8'))?.[1]);
  }) as [number, number];
  return ((many - few) / (COUNTED[1] - COUNTED[0])).toFixed(0);
}

function table(header: readonly string[], rows: readonly string[]): string[] {
  return [row(header), row(header.map(() => '---')), ...rows];
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function machine({ from }: Taken): string {
  const python = output(['python3', '--version']).trim();
  const load = loadavg()[0]?.toFixed(1) ?? 'unknown';
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `Node ${process.version}, ${python}, rdma_topo of rdma-core ${from.version}; Linux ${release()}, ${availableParallelism()} processors (${processor}). Medians of ${RUNS} processes in turn, and of ${ROUNDS} rounds. Load average ${load}: what other programs do is in the times, and hardly in the processor times.`;
}

await main();
