// Fixtures by name or file. The shipped ones are imported, so that a bundle carries them.
import { closeSync, openSync, readSync } from 'node:fs';

import { VirtualError } from './errors.ts';
import { parseFixture } from './fixture.ts';
import type { Fixture } from './fixture.ts';

const shipped: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  'gb300-tray': () => import('../../fixtures/gb300-tray.json', { with: { type: 'json' } }),
  'dgx-station': () => import('../../fixtures/dgx-station.json', { with: { type: 'json' } }),
  'inline-b300': () => import('../../fixtures/inline-b300.json', { with: { type: 'json' } }),
  'one-domain': () => import('../../fixtures/one-domain.json', { with: { type: 'json' } }),
  'dual-port': () => import('../../fixtures/dual-port.json', { with: { type: 'json' } }),
  'gb200-cx7': () => import('../../fixtures/gb200-cx7.json', { with: { type: 'json' } }),
  'sub-functions': () => import('../../fixtures/sub-functions.json', { with: { type: 'json' } }),
};

export const FIXTURE_NAMES: readonly string[] = Object.keys(shipped);

/** A shipped fixture by its name, or a file in the form that `rdma_topo dump` writes. */
export async function loadFixture(nameOrFile: string): Promise<Fixture> {
  const load = Object.hasOwn(shipped, nameOrFile) ? shipped[nameOrFile] : undefined;
  return parseFixture(nameOrFile, load === undefined ? readJson(nameOrFile) : (await load()).default);
}

function readJson(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    const problem = text === '' ? 'the file is empty' : `no JSON: ${(error as Error).message}`;
    throw new VirtualError('FIXTURE_UNREADABLE', { file, problem }, { cause: error });
  }
}

/** A node of 300 functions makes one megabyte. What does not end, such as a device, must not take all memory. */
const MOST_BYTES = 64 << 20;
const PIECE_BYTES = 1 << 20;

/** Some editors begin a text with a mark that is no part of it. */
const BYTE_ORDER_MARK = '\ufeff';

function readText(file: string): string {
  try {
    const text = readBounded(file).toString('utf8');
    return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const problem = absent
      ? `no such file, and no shipped fixture of that name (${FIXTURE_NAMES.join(', ')})`
      : (error as Error).message;
    throw new VirtualError('FIXTURE_UNREADABLE', { file, problem }, { cause: error });
  }
}

/** In pieces, because only a regular file says how long it is, and a report may come through a pipe. */
function readBounded(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const pieces: Buffer[] = [];
    for (let length = 0; length <= MOST_BYTES;) {
      const read = readSync(fd, piece);
      if (read === 0) return Buffer.concat(pieces);
      pieces.push(Buffer.from(piece.subarray(0, read)));
      length += read;
    }
  } finally {
    closeSync(fd);
  }
  throw new Error(`it is longer than ${MOST_BYTES >> 20} MiB, which no dump is`);
}
