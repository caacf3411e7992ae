// Files below one root of the real file system, errnos as answers.
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
} from 'node:fs';

import type { Answer, Files } from './host.ts';
import { Errno } from './host.ts';
import type { Lanes } from './lanes.ts';

export function linuxFiles(root: string, lanes: Lanes): Files {
  const at = (path: string): string => `${root}/${path}`;
  const top = realpath(root);
  return {
    list: (path) => answer(path, () => readdirSync(at(path)).toSorted()),
    link: (path) => answer(path, () => readlinkSync(at(path))),
    identity: (path) => answer(path, () => identityOf(at(path)) ?? new Errno('ENOENT', 2, path)),
    real: (path) => answer(path, () => belowRoot(top, realpathSync.native(at(path)), path)),
    read: (path) => answer(path, () => readNow(at(path))),
    readSlow: (path, device) =>
      lanes.run(device, path, () => readOnThread(at(path)).catch((error: unknown) => toErrno(error, path))),
  };
}

/**
 * The kernel gives a page of a sysfs or proc file at a time, and less only at its end. Node's own readFile asks for the size first and for the
 * end afterwards: on a thread of the pool it costs three times as much (measured), and a round on a node with many VFs is little else.
 */
const PAGE_BYTES = 4096;

/** Pages are read into and their content is copied out: most files have a few bytes. */
const idlePages: Buffer[] = [];

function readNow(file: string): Buffer {
  const fd = openSync(file, 'r');
  const page = idlePages.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES);
  try {
    const whole = new Whole(fd);
    while (!whole.complete) whole.add(page, readSync(fd, page));
    return whole.bytes;
  } finally {
    idlePages.push(page);
    closeSync(fd);
  }
}

/** Only the read goes to a thread: to open a file of sysfs asks nothing of the device (fs/kernfs/file.c, kernfs_fop_open). */
async function readOnThread(file: string): Promise<Buffer> {
  const fd = openSync(file, 'r');
  const page = idlePages.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES);
  try {
    const whole = new Whole(fd);
    while (!whole.complete) whole.add(page, await readPage(fd, page));
    return whole.bytes;
  } finally {
    idlePages.push(page);
    closeSync(fd);
  }
}

function readPage(fd: number, page: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, page, 0, PAGE_BYTES, null, (error, length) => (error ? reject(error) : resolve(length)));
  });
}

/** More than any file has that is read here: half a million routes. One that does not end, such as a device by that name, must not take all memory. */
const MOST_BYTES = 64 << 20;

/** What has been read of a file. */
class Whole {
  complete = false;
  readonly #fd: number;
  readonly #pieces: Buffer[] = [];
  #length = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** A full page may have been the last: configuration space is just one. Files of proc, and some of sysfs, have no size. */
  add(page: Buffer, length: number): void {
    this.#pieces.push(Buffer.from(page.subarray(0, length)));
    this.#length += length;
    if (this.#length > MOST_BYTES) throw Object.assign(new Error('it does not end'), { code: 'EFBIG', errno: -27 });
    this.complete = length < PAGE_BYTES || fstatSync(this.#fd).size === this.#length;
  }

  get bytes(): Buffer {
    const [first, ...more] = this.#pieces;
    return first && more.length === 0 ? first : Buffer.concat(this.#pieces);
  }
}

/** What is not there is asked for in every round, and an exception costs more than the question. */
function identityOf(file: string): string | undefined {
  return lstatSync(file, { bigint: true, throwIfNoEntry: false })?.ino.toString();
}

/** The root may be absent (a host without PCI, /proc not mounted): then every answer is ENOENT. */
function realpath(root: string): string {
  const real = answer(root, () => realpathSync.native(root));
  return typeof real === 'string' ? real : root;
}

function belowRoot(top: string, real: string, path: string): string {
  if (real.startsWith(`${top}/`)) return real.slice(top.length + 1);
  throw Object.assign(new Error(`${path} leads out of ${top}`), { code: 'EXDEV', errno: -18 });
}

function answer<T>(path: string, ask: () => Answer<T>): Answer<T> {
  try {
    return ask();
  } catch (error) {
    return toErrno(error, path);
  }
}

/** Errors of node:fs carry the errno; any other is a mistake of ours. */
export function toErrno(error: unknown, what: string): Errno {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined) throw error;
  return new Errno(code, -errno, what);
}
