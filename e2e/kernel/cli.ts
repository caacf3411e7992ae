// The kernel rig by hand: node e2e/kernel/cli.ts fetch|shell

import { parseArgs } from 'node:util';
import { RigError, rigError } from '../rig/errors.ts';
import { boot } from './machine.ts';
import { recordedPackages } from './toolchain/packages.ts';
import { ensureToolchain } from './toolchain/toolchain.ts';
import { type KernelSeries, kernelSeries } from './versions.ts';

const usage = `node e2e/kernel/cli.ts …
  fetch                     fetch QEMU, kernels and what the guest runs, unless they are there; say what they are
  shell [--kernel ${kernelSeries.join('|')}]   boot a machine and be root in it; leaving the shell ends it`;

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
    tell('this is the guest; "exit" ends it');
    await machine.attach(process.stdin, process.stdout);
  } finally {
    await machine.end();
  }
}

function parseKernel(text: string): KernelSeries {
  const found = kernelSeries.find((series) => series === text);
  if (found === undefined) throw rigError('USAGE', { problem: `there is no kernel "${text}"`, usage });
  return found;
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args);
  const [command = ''] = positionals;
  if (command === 'fetch') await fetch();
  else if (command === 'shell') await shell(parseKernel(values.kernel));
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
