// Fixtures by name or file. The shipped ones are imported, so that a bundle carries them.
import { readFile } from 'node:fs/promises';

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
  return parseFixture(nameOrFile, load === undefined ? await readJson(nameOrFile) : (await load()).default);
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const problem = absent
      ? `no such file, and no shipped fixture of that name (${FIXTURE_NAMES.join(', ')})`
      : (error as Error).message;
    throw new VirtualError('FIXTURE_UNREADABLE', { file, problem }, { cause: error });
  }
}
