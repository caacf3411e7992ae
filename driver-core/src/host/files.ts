// Files below one root of the real file system, errnos as answers.
import { closeSync, lstatSync, open, openSync, read, readdirSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { promisify } from 'node:util';

import type { Answer, Files } from './host.ts';
import { Errno } from './host.ts';
import type { Lanes } from './lanes.ts';

export function linuxFiles(root: string, lanes: Lanes): Files {
  const at = (path: string): string => `${root}/${path}`;
  const top = realpath(root);
  return {
    list: (path) => answer(path, () => readdirSync(at(path)).toSorted()),
    link: (path) => answer(path, () => readlinkSync(at(path))),
    identity: (path) => answer(path, () => `${lstatSync(at(path), { bigint: true }).ino}`),
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
const CHUNK_BYTES = 4096;
const openOnThread = promisify(open);
const readOnce = promisify(read);

function readNow(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const length = readSync(fd, chunk);
      chunks.push(chunk.subarray(0, length));
      if (length < CHUNK_BYTES) return joined(chunks);
    }
  } finally {
    closeSync(fd);
  }
}

async function readOnThread(file: string): Promise<Buffer> {
  const fd = await openOnThread(file, 'r');
  try {
    const chunks: Buffer[] = [];
    for (;;) {
      const { bytesRead, buffer } = await readOnce(fd, Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      chunks.push(buffer.subarray(0, bytesRead));
      if (bytesRead < CHUNK_BYTES) return joined(chunks);
    }
  } finally {
    closeSync(fd);
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first ? first : Buffer.concat(chunks);
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

function answer<T>(path: string, ask: () => T): Answer<T> {
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
