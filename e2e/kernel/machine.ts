// A virtual machine with a real Linux kernel, and the one door to it: boot it, run code in it, ask QEMU, end it.

import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from '../../scripts/bundle.ts';
import { type Child, startChild } from '../rig/child.ts';
import type { Report } from '../rig/progress.ts';
import { lastLines } from '../rig/run.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../rig/temporary.ts';
import { until } from '../rig/wait.ts';
import { AgentChannel } from './boot/agent-channel.ts';
import { type Files, qemuArguments } from './boot/command-line.ts';
import { makeInitramfs } from './boot/initramfs.ts';
import { Qmp, type QmpEvent } from './boot/qmp.ts';
import { type Bridge, type Iommu, pciTree, type QemuDevice, type VfioUserDevice } from './boot/topology.ts';
import { kernelError } from './errors.ts';
import type { Guest } from './guest/guest.ts';
import { openKernel } from './toolchain/kernel.ts';
import { qemuCommand, qemuProgram } from './toolchain/qemu.ts';
import { ensurePatchedQemu, ensureToolchain, type Toolchain } from './toolchain/toolchain.ts';
import type { KernelSeries } from './versions.ts';

export type { Bridge, Iommu, QemuDevice, VfioUserDevice } from './boot/topology.ts';
export type { Guest } from './guest/guest.ts';

export interface MachineOptions {
  readonly kernel: KernelSeries;
  /** Default: none. */
  readonly iommu?: Iommu;
  /** Root ports and switches. */
  readonly topology?: readonly Bridge[];
  /** Whose vendor and device ids they carry. Default: qemu. */
  readonly bridgeIds?: 'qemu' | 'nvidia';
  readonly devices?: readonly VfioUserDevice[];
  /** Devices of QEMU's own, made last. */
  readonly otherDevices?: readonly QemuDevice[];
  /** More words for the kernel's command line. */
  readonly append?: readonly string[];
  readonly report?: Report;
}

export interface RunOptions {
  readonly timeoutMs?: number;
}

/** Without KVM and with other work on the same two cores. */
const bootTimeoutMs = 120_000;
const requestTimeoutMs = 30_000;
const logLines = 60;

export async function boot(options: MachineOptions): Promise<Machine> {
  const report = options.report ?? ((line: string) => console.log(line));
  const toolchain = await ensureToolchain(report);
  const program =
    options.bridgeIds === 'nvidia' ? await ensurePatchedQemu(toolchain, report) : qemuProgram(toolchain.qemu);
  const begun = performance.now();
  const machine = await Machine.start(toolchain, program, options);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  report(`Linux ${machine.release} with Node ${machine.node} up after ${seconds} s`);
  return machine;
}

interface Parts {
  readonly directory: TemporaryDirectory;
  readonly files: Files;
  readonly qemu: Child;
  readonly agent: AgentChannel;
  readonly qmp: Qmp;
}

export class Machine {
  /** As uname -r prints it. */
  readonly release: string;
  readonly node: string;
  readonly #parts: Parts;

  private constructor(parts: Parts, hello: { readonly release: string; readonly node: string }) {
    this.#parts = parts;
    this.release = hello.release;
    this.node = hello.node;
  }

  static async start(toolchain: Toolchain, program: string, options: MachineOptions): Promise<Machine> {
    const directory = await temporaryDirectory('data-direct-machine');
    const files = await prepareFiles(directory.path, toolchain, options.kernel);
    const agent = await AgentChannel.listen(files.agentSocket);
    const qmp = await Qmp.listen(files.qmpSocket);
    const { iommu = 'none', topology = [], devices = [], otherDevices = [], append = [] } = options;
    const words = qemuArguments(files, pciTree(iommu, topology, devices), otherDevices, append);
    const child = await startChild([...qemuCommand(toolchain.qemu, program), ...words], files.qemuLog);
    const parts = { directory, files, qemu: child, agent, qmp };
    void tellEnd(parts);
    const limit = setTimeout(() => void tooSlow(parts), bootTimeoutMs);
    try {
      return new Machine(parts, await agent.hello());
    } finally {
      clearTimeout(limit);
    }
  }

  /**
   * Runs the function in the guest's agent and returns what it returns. It is sent as text: of its surroundings it sees
   * nothing but its arguments, and `guest` (guest/guest.ts) first of them.
   */
  async run<A extends readonly unknown[], R>(
    work: (guest: Guest, ...args: A) => R,
    args: A,
    { timeoutMs = requestTimeoutMs }: RunOptions = {},
  ): Promise<Awaited<R>> {
    return (await this.#parts.agent.callFunction(work.toString(), args, timeoutMs)) as Awaited<R>;
  }

  /** What a line of busybox's shell writes to its standard output; an error where its exit code is not 0. */
  shell(line: string, { timeoutMs = requestTimeoutMs }: RunOptions = {}): Promise<string> {
    return this.#parts.agent.runShell(line, timeoutMs);
  }

  /** A command of QEMU's monitor, such as device_add. */
  qmp(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.#parts.qmp.execute(command, fields);
  }

  /** Returns once QEMU has told an event like this, at any time since the boot. */
  async event(matches: (event: QmpEvent) => boolean, what: string, timeoutMs = requestTimeoutMs): Promise<void> {
    const { events } = this.#parts.qmp;
    await until({ what, timeoutMs, intervalMs: 20 }, async () =>
      events.some(matches) ? undefined : (events.at(-1)?.event ?? 'nothing'),
    );
  }

  /** The kernel's log from its first line up to now. */
  async dmesg(): Promise<string> {
    const mark = `data-direct mark ${randomUUID()}`;
    // Without its newline the kernel would keep the line back and wait for the rest of it.
    await this.run((guest, line) => guest.fs.writeFileSync('/dev/kmsg', line), [`${mark}\n`]);
    const read = (): Promise<string> => readFile(this.#parts.files.kernelLog, 'utf8');
    await until({ what: 'the end of the kernel log', timeoutMs: requestTimeoutMs, intervalMs: 20 }, async () =>
      (await read()).includes(mark) ? undefined : 'its beginning',
    );
    return (await read()).replaceAll(/^.*data-direct mark .*\n/gm, '');
  }

  /** The last lines of all logs, for a person; also of a machine that no longer answers. */
  logs(): Promise<string> {
    return logs(this.#parts.files);
  }

  /** The host's folder that the guest sees as /work. */
  get work(): string {
    return this.#parts.files.shares.work;
  }

  /** How and why it ended, once it has. */
  get ended(): Promise<string> {
    return this.#parts.qemu.ended.then((how) => explain(how, this.#parts.qmp.events));
  }

  /** At once: there is nothing in it to be saved. */
  async end(): Promise<void> {
    await this.#parts.qemu.kill();
    await this.#parts.directory.remove();
  }
}

/** To whoever waits for an answer then, or asks later. */
async function tellEnd(parts: Parts): Promise<void> {
  const how = explain(await parts.qemu.ended, parts.qmp.events);
  const reason = kernelError('MACHINE_ENDED', { how, logs: await logs(parts.files) });
  parts.agent.close(reason);
  parts.qmp.close(reason);
}

/** The failure is told by whoever waits for the agent. */
async function tooSlow({ agent, qemu, files }: Parts): Promise<void> {
  const reason = `the agent did not answer within ${bootTimeoutMs / 1000} s`;
  agent.close(kernelError('BOOT_FAILED', { reason, logs: await logs(files) }));
  await qemu.kill();
}

async function prepareFiles(directory: string, toolchain: Toolchain, series: KernelSeries): Promise<Files> {
  const kernel = await openKernel(toolchain.kernels[series]);
  const root = join(toolchain.guest, 'root');
  const work = join(directory, 'work');
  const initramfs = join(directory, 'initramfs');
  await mkdir(work);
  await writeFile(initramfs, await makeInitramfs(join(root, 'bin/busybox'), join(kernel.modules, kernel.release)));
  return {
    vmlinuz: kernel.vmlinuz,
    initramfs,
    shares: { root, app: await makeApp(directory), modules: kernel.modules, work },
    agentSocket: join(directory, 'agent.sock'),
    qmpSocket: join(directory, 'qmp.sock'),
    consoleLog: join(directory, 'console.log'),
    kernelLog: join(directory, 'kernel.log'),
    qemuLog: join(directory, 'qemu.log'),
  };
}

/**
 * The agent and driver-core as one bundle: on the emulated CPU it starts in 2 s, the same out of TypeScript files in 15 s
 * (measured). Bundling takes 0.2 s here.
 */
async function makeApp(directory: string): Promise<string> {
  const app = join(directory, 'app');
  await bundle({ entries: { agent: 'e2e/kernel/guest/agent.ts' }, directory: app, architectures: ['amd64'] });
  await copyFile(new URL('guest/start.sh', import.meta.url), join(app, 'start.sh'));
  return app;
}

/** With panic=-1 and -no-reboot a panic ends QEMU like a reboot, exit code 0. */
function explain(how: string, events: readonly QmpEvent[]): string {
  const reason = events.findLast(({ event }) => event === 'SHUTDOWN')?.data?.['reason'];
  if (reason === 'guest-reset') return 'its kernel panicked or rebooted';
  if (reason === 'guest-shutdown') return 'it powered itself off';
  return `QEMU ${how}`;
}

async function logs(files: Files): Promise<string> {
  const named = { 'kernel log': files.kernelLog, console: files.consoleLog, QEMU: files.qemuLog };
  const tails = Object.entries(named).map(async ([name, file]) => {
    const text = await readFile(file, 'utf8').catch(() => '');
    return `--- ${name}:\n${lastLines(text, logLines)}`;
  });
  return (await Promise.all(tails)).join('\n');
}
