// The kernel rig by hand: node e2e/kernel/cli.ts fetch|shell|tray

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { RigError, rigError } from '../rig/errors.ts';
import { boot, type Machine } from './machine.ts';
import { recordedPackages } from './toolchain/packages.ts';
import { ensureToolchain } from './toolchain/toolchain.ts';
import { ADDRESS, TrayMachine } from './tray-machine.ts';
import { type KernelSeries, kernelSeries } from './versions.ts';

const usage = `node e2e/kernel/cli.ts …
  fetch                     fetch QEMU, kernels and what the guest runs, unless they are there; say what they are
  shell [--kernel ${kernelSeries.join('|')}]   boot a machine and be root in it; leaving the shell ends it
  tray [--kernel ${kernelSeries.join('|')}]    the same with a tray of virtual ConnectX-8 adapters, their drivers loaded
What comes on standard input, unless that is a terminal, is run as a script instead.`;

const about = `three ConnectX-8 functions, two DMA functions and two GPUs are there; for example:
  data-direct topo                   which NIC has which DMA function, and why one is not ready
  data-direct verify mlx5_0          what kernel and firmware answer, step by step
  echo ${ADDRESS.dma0} >/sys/bus/pci/drivers/mlx5_ib/unbind   takes the DMA function of mlx5_0 away (bind gives it back)`;

const scriptMs = 600_000;
const tell = (line: string): void => console.log(line);

async function fetch(): Promise<void> {
  const { kernels, qemu, guest } = await ensureToolchain(tell);
  for (const directory of [...Object.values(kernels), qemu, guest]) {
    tell(directory);
    for (const { name, version } of await recordedPackages(directory)) tell(`  ${name} ${version}`);
  }
}

async function shell(kernel: KernelSeries): Promise<void> {
  const machine = await boot({ kernel, terminal: true, report: tell });
  try {
    await use(machine);
  } finally {
    await machine.end();
  }
}

async function tray(kernel: KernelSeries): Promise<void> {
  const adapters = await TrayMachine.start(kernel, { terminal: true, report: tell });
  try {
    await adapters.restore();
    tell(about);
    await use(adapters.machine);
  } finally {
    await adapters.end();
  }
}

/** A person's shell, or the script on standard input. */
async function use(machine: Machine): Promise<void> {
  if (process.stdin.isTTY) {
    tell('this is the guest; "exit" ends it');
    await machine.attach(process.stdin, process.stdout);
  } else {
    await writeFile(join(machine.work, 'script'), await text(process.stdin));
    process.exitCode = await runScript(machine);
  }
}

/** Its exit code. */
async function runScript(machine: Machine): Promise<number> {
  const line = 'code=0; sh /work/script 2>&1 || code=$?; echo $code >/work/exit-code';
  process.stdout.write(await machine.shell(line, { timeoutMs: scriptMs }));
  return Number(await readFile(join(machine.work, 'exit-code'), 'utf8'));
}

function parseKernel(name: string): KernelSeries {
  const found = kernelSeries.find((series) => series === name);
  if (found === undefined) throw rigError('USAGE', { problem: `there is no kernel "${name}"`, usage });
  return found;
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args);
  const [command = ''] = positionals;
  if (command === 'fetch') await fetch();
  else if (command === 'shell') await shell(parseKernel(values.kernel));
  else if (command === 'tray') await tray(parseKernel(values.kernel));
  else
    throw rigError('USAGE', { problem: command === '' ? 'which command?' : `there is no command "${command}"`, usage });
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: { kernel: { type: 'string', default: '6.12' } } });
  } catch (error) {
    throw rigError('USAGE', { problem: (error as Error).message, usage }, { cause: error });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof RigError ? error.message : error);
  process.exitCode = 1;
}
