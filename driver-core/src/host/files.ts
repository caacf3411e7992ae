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

export function linuxFiles(root: string, lanes: Lanes, ended = pagesFilled): Files {
  const at = (path: string): string => `${root}/${path}`;
  const top = realpath(root);
  return {
    list: (path) => answer(path, () => readdirSync(at(path)).toSorted()),
    link: (path) => answer(path, () => readlinkSync(at(path))),
    identity: (path) => answer(path, () => identityOf(at(path)) ?? new Errno('ENOENT', 2, path)),
    real: (path) => answer(path, () => belowRoot(top, realpathSync.native(at(path)), path)),
    read: (path) => answer(path, () => readNow(at(path), ended)),
    readSlow: (path, device) =>
      lanes.run(device, path, () => readOnThread(at(path), ended).catch((error: unknown) => toErrno(error, path))),
  };
}

const PAGE_BYTES = 4096;

/** Whether a file has been read to its end: `length` bytes, of which `last` came in the last page. */
type Ended = (fd: number, length: number, last: number) => boolean;

/**
 * The kernel gives a page of an attribute at a time, and less only at its end (fs/kernfs/file.c). A full page may be the last: configuration space is
 * just one. Node's own readFile asks for the size first and for the end afterwards: on a thread of the pool it costs three times as much (measured), and
 * a round on a node with many VFs is little else.
 */
const pagesFilled: Ended = (fd, length, last) => last < PAGE_BYTES || fstatSync(fd).size === length;

/** Of proc it gives as many whole lines as fit into a page, and nothing only at the end (fs/seq_file.c). */
export const recordsTogether: Ended = (_fd, _length, last) => last === 0;

/** Pages are read into and their content is copied out: most files have a few bytes. */
const idlePages: Buffer[] = [];

function readNow(file: string, ended: Ended): Buffer {
  const fd = openSync(file, 'r');
  const page = idlePages.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES);
  try {
    const whole = new Whole();
    for (;;) {
      const last = readSync(fd, page);
      whole.add(page, last);
      if (ended(fd, whole.length, last)) return whole.bytes;
    }
  } finally {
    idlePages.push(page);
    closeSync(fd);
  }
}

/** Only the read goes to a thread: to open a file of sysfs asks nothing of the device (fs/kernfs/file.c, kernfs_fop_open). */
async function readOnThread(file: string, ended: Ended): Promise<Buffer> {
  const fd = openSync(file, 'r');
  const page = idlePages.pop() ?? Buffer.allocUnsafeSlow(PAGE_BYTES);
  try {
    const whole = new Whole();
    for (;;) {
      const last = await readPage(fd, page);
      whole.add(page, last);
      if (ended(fd, whole.length, last)) return whole.bytes;
    }
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
  length = 0;
  readonly #pieces: Buffer[] = [];

  add(page: Buffer, length: number): void {
    const piece = Buffer.allocUnsafe(length);
    page.copy(piece, 0, 0, length);
    this.#pieces.push(piece);
    this.length += length;
    if (this.length > MOST_BYTES) throw Object.assign(new Error('it does not end'), { code: 'EFBIG', errno: -27 });
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
