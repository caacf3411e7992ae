// Files below one root of the real file system, errnos as answers.
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

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
    read: (path) => answer(path, () => readFileSync(at(path))),
    readSlow: (path, device) =>
      lanes.run(device, path, () => readFile(at(path)).catch((error: unknown) => toErrno(error, path))),
  };
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

function answer<T>(path: string, read: () => T): Answer<T> {
  try {
    return read();
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
