// The real node behind the host door: sysfs and proc as files, device nodes by ioctl, uevents by netlink. Nothing here knows what it reads.
import { close as closeFile, existsSync, open as openFile, readFileSync } from 'node:fs';
import { endianness, release } from 'node:os';
import { promisify } from 'node:util';

import { systemClock } from './clock.ts';
import { createDmabuf } from './dmabuf.ts';
import { linuxFiles, recordsTogether, toErrno } from './files.ts';
import type { Answer, Device, Dmabuf, Host, Pointer, Uevent } from './host.ts';
import { Errno, refused } from './host.ts';
import { Lanes } from './lanes.ts';
import type { Native } from './native.ts';
import { loadNative } from './native.ts';

import { uevents } from './uevents.ts';

export interface LinuxHostOptions {
  /** Default /sys. */
  readonly sysfsRoot?: string;
  /** The /proc directory of the node's first process, so that its network namespace is read and not our own. Default /proc/1. */
  readonly procRoot?: string;
  /** Default /dev. */
  readonly devRoot?: string;
  /** How long a call that reaches a device is waited for. Default 5000. */
  readonly callBudgetMs?: number;
}

/**
 * libuv reads the size of its pool once, when the first call needs a thread; four, its default, are too few when several devices hang.
 * This module is imported before that happens: nothing in Node's own start uses the pool.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '16';

/** Threads that device calls never take: one waits for uevents, the others are for everybody's files and name look-ups. */
const RESERVED_THREADS = 4;

const open = promisify(openFile);
const close = promisify(closeFile);

export async function openLinuxHost(options: LinuxHostOptions = {}): Promise<Host> {
  if (endianness() !== 'LE')
    throw new Error('data direct exists on little-endian machines only, and so do the layouts of verbs/abi.ts');
  return new LinuxHost(options);
}

class LinuxHost implements Host {
  readonly sysfs: Host['sysfs'];
  readonly proc: Host['proc'];
  readonly clock = systemClock;
  readonly pageSize = readPageSize();
  readonly kernelRelease = release();
  readonly #devRoot: string;
  readonly #lanes: Lanes;

  constructor({ sysfsRoot = '/sys', procRoot = '/proc/1', devRoot = '/dev', callBudgetMs = 5000 }: LinuxHostOptions) {
    const threads = Math.max(Number(process.env['UV_THREADPOOL_SIZE']) - RESERVED_THREADS, 1);
    this.#lanes = new Lanes(this.clock, { budgetMs: callBudgetMs, threads });
    this.#devRoot = devRoot;
    this.sysfs = linuxFiles(sysfsRoot, this.#lanes);
    this.proc = linuxFiles(procRoot, this.#lanes, recordsTogether);
  }

  async openDevice(path: string, device: string): Promise<Answer<Device>> {
    const file = path.replace(/^\/dev(?=\/)/, this.#devRoot);
    // A node that is not there needs no thread to say so.
    if (!existsSync(file)) return new Errno('ENOENT', 2, path);
    const fd = await this.#lanes.run(device, path, () => opened(file), closeLate);
    return refused(fd) ? fd : new LinuxDevice({ native: loadNative(), lanes: this.#lanes, path, device, fd });
  }

  uevents(signal: AbortSignal): AsyncIterable<Uevent> {
    return uevents(loadNative(), signal);
  }

  async dmabuf(bytes: number): Promise<Answer<Dmabuf>> {
    return createDmabuf(loadNative(), this.#devRoot, bytes);
  }

  /** Nothing is held open between calls; what is blocked in the kernel cannot be closed (leave.ts). */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Opened {
  readonly native: Native;
  readonly lanes: Lanes;
  readonly path: string;
  readonly device: string;
  readonly fd: number;
}

class LinuxDevice implements Device {
  readonly #opened: Opened;
  /** Buffers that the kernel may still write to: their addresses stand in other buffers, where the garbage collector does not look. */
  readonly #inKernel = new Set<readonly Pointer[]>();

  constructor(from: Opened) {
    this.#opened = from;
  }

  ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Promise<Answer<0>> {
    const { native, lanes, path, device, fd } = this.#opened;
    for (const { offset, target } of pointers) bytes.writeBigUInt64LE(native.address(target), offset);
    return lanes.run(device, `ioctl on ${path}`, async () => {
      this.#inKernel.add(pointers);
      const answer = await native.callOnThread('ioctl', fd, request, bytes);
      this.#inKernel.delete(pointers);
      return refused(answer) ? answer : 0;
    });
  }

  async close(): Promise<void> {
    const { lanes, device, fd } = this.#opened;
    await lanes.afterwards(device, () => close(fd));
  }
}

async function opened(file: string): Promise<Answer<number>> {
  try {
    return await open(file, 'r+');
  } catch (error) {
    return toErrno(error, file);
  }
}

function closeLate(fd: Answer<number>): void {
  // It may block in turn, so it is given to the pool; an error at close leaves nothing to do.
  if (!refused(fd)) closeFile(fd, () => undefined);
}

/** include/uapi/linux/auxvec.h: pairs of type and value, which the kernel gives to every process at its start. */
const AT_PAGESZ = 6n;

function readPageSize(): number {
  const auxv = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= auxv.length; at += 16) {
    if (auxv.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxv.readBigUInt64LE(at + 8));
  }
  throw new Error('/proc/self/auxv has no page size');
}
