// A virtual machine with a real Linux kernel, and the one door to it: boot it, run code in it, ask QEMU, end it.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Child, startChild } from '../rig/child.ts';
import type { Report } from '../rig/progress.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../rig/temporary.ts';
import { until } from '../rig/wait.ts';
import { AgentChannel, type Hello } from './boot/agent-channel.ts';
import { qemuArguments } from './boot/command-line.ts';
import { type Files, lastLogs, prepareFiles } from './boot/files.ts';
import { Qmp, type QmpEvent } from './boot/qmp.ts';
import { type Bridge, type Iommu, pciTree, type QemuDevice, type VfioUserDevice } from './boot/topology.ts';
import { openTerminal, terminalShell } from './boot/terminal.ts';
import { kernelError } from './errors.ts';
import type { Guest } from './guest/guest.ts';
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
  /** With a terminal for Machine.attach. */
  readonly terminal?: boolean;
  readonly report?: Report;
}

export interface RunOptions {
  readonly timeoutMs?: number;
}

/** Without KVM and with other work on the same two cores. */
const bootTimeoutMs = 120_000;
const requestTimeoutMs = 30_000;
/** A person takes as long as a person takes; Node's timers end at 24 days. */
const terminalTimeoutMs = 2 ** 31 - 1;

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

  private constructor(parts: Parts, hello: Hello) {
    this.#parts = parts;
    this.release = hello.release;
    this.node = hello.node;
  }

  static async start(toolchain: Toolchain, program: string, options: MachineOptions): Promise<Machine> {
    const directory = await temporaryDirectory('data-direct-machine');
    try {
      const parts = await startParts(directory, toolchain, program, options);
      return new Machine(parts, await comeUp(parts));
    } catch (error) {
      await directory.remove();
      throw error;
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

  /** A command of QEMU's monitor. */
  qmp(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.#parts.qmp.execute(command, fields);
  }

  /** Hot-plugs a device; a vfio-user server must listen (vfioUserDevice). */
  async plug(device: QemuDevice): Promise<void> {
    await this.qmp('device_add', device);
  }

  /** Returns when the guest has let go of it. */
  async unplug(id: string): Promise<void> {
    const { events } = this.#parts.qmp;
    const seen = events.length;
    await this.qmp('device_del', { id });
    await until({ what: `the guest letting go of ${id}`, timeoutMs: requestTimeoutMs, intervalMs: 20 }, async () =>
      events.slice(seen).some(({ event, data }) => event === 'DEVICE_DELETED' && data?.['device'] === id)
        ? undefined
        : 'still plugged in',
    );
  }

  /** As by its reset button; returns when it has booted again. A request that runs in it fails. */
  async reset(): Promise<void> {
    // QEMU was started with -no-reboot, so that a panic ends it.
    await this.qmp('set-action', { reboot: 'reset' });
    this.#parts.agent.restart(kernelError('MACHINE_RESET', { release: this.release }));
    await this.qmp('system_reset');
    await comeUp(this.#parts);
    await this.qmp('set-action', { reboot: 'shutdown' });
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
    return lastLogs(this.#parts.files);
  }

  /** A person's shell in the guest, until it is left. The machine must have been booted with a terminal. */
  async attach(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<void> {
    const { files, agent } = this.#parts;
    await openTerminal(files.terminalSocket, input, output, async (size) => {
      await agent.runShell(terminalShell(size), terminalTimeoutMs);
    });
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
  const reason = kernelError('MACHINE_ENDED', { how, logs: await lastLogs(parts.files) });
  parts.agent.close(reason);
  parts.qmp.close(reason);
}

async function startParts(
  directory: TemporaryDirectory,
  toolchain: Toolchain,
  program: string,
  options: MachineOptions,
): Promise<Parts> {
  const { iommu = 'none', topology = [], devices = [], otherDevices = [], append = [], terminal = false } = options;
  const files = await prepareFiles(directory.path, toolchain, options.kernel);
  const agent = await AgentChannel.listen(files.agentSocket);
  const qmp = await Qmp.listen(files.qmpSocket);
  const words = qemuArguments(files, { tree: pciTree(iommu, topology, devices), otherDevices, append, terminal });
  const qemu = await startChild([...qemuCommand(toolchain.qemu, program), ...words], files.qemuLog);
  const parts = { directory, files, qemu, agent, qmp };
  void tellEnd(parts);
  return parts;
}

/** Returns when the agent answers; of a machine that does not come up nothing is left. */
async function comeUp({ agent, qemu, files }: Parts): Promise<Hello> {
  const tooSlow = async (): Promise<void> => {
    const reason = `the agent did not answer within ${bootTimeoutMs / 1000} s`;
    agent.close(kernelError('BOOT_FAILED', { reason, logs: await lastLogs(files) }));
  };
  const limit = setTimeout(() => void tooSlow(), bootTimeoutMs);
  try {
    return await agent.hello();
  } catch (error) {
    await qemu.kill();
    throw error;
  } finally {
    clearTimeout(limit);
  }
}

/** With panic=-1 and -no-reboot a panic ends QEMU like a reboot, exit code 0. */
function explain(how: string, events: readonly QmpEvent[]): string {
  const reason = events.findLast(({ event }) => event === 'SHUTDOWN')?.data?.['reason'];
  if (reason === 'guest-reset') return 'its kernel panicked or rebooted';
  if (reason === 'guest-shutdown') return 'it powered itself off';
  return `QEMU ${how}`;
}
