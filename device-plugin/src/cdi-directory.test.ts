// CDI files as a container runtime would find them.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { cdiSpec } from './allocation/cdi.ts';
import { CdiDirectory } from './cdi-directory.ts';
import { assignment, path, resource, tray } from './test-support.ts';

const KIND = 'datadirect.dev/path';
const FILE = 'datadirect.dev-path.json';
let directory: string;
let held: Map<string, Set<string>> | undefined;
let troubles: unknown[];
let cdi: CdiDirectory;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'cdi-')), 'cdi');
  held = new Map();
  troubles = [];
  cdi = opened();
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

function opened(): CdiDirectory {
  return new CdiDirectory({ directory, held: () => Promise.resolve(held), onTrouble: (error) => troubles.push(error) });
}

function publish({ resources = [resource()], paths = tray() } = {}): Promise<void> {
  return cdi.publish(assignment({ resources, paths }).pools.map((pool) => cdiSpec(pool, '/dev')));
}

const written = (): unknown => JSON.parse(readFileSync(join(directory, FILE), 'utf8'));
const names = (): string[] => (written() as { devices: { name: string }[] }).devices.map(({ name }) => name);

test('a resource is a file, a path is a device with its nodes', async () => {
  await publish({ resources: [resource({ devices: { rdmaCm: true } })], paths: [path(1)] });
  expect(written()).toEqual({
    cdiVersion: '0.5.0',
    kind: KIND,
    devices: [
      {
        name: '0001:03:00.0',
        containerEdits: {
          deviceNodes: [
            { path: '/dev/infiniband/uverbs1', hostPath: '/dev/infiniband/uverbs1', permissions: 'rw' },
            { path: '/dev/infiniband/rdma_cm', hostPath: '/dev/infiniband/rdma_cm', permissions: 'rw' },
          ],
        },
      },
    ],
  });
  expect(cdi.has(`${KIND}=0001:03:00.0`)).toBe(true);
  expect(cdi.has(`${KIND}=0000:03:00.0`)).toBe(false);
  expect(readdirSync(directory)).toEqual([FILE]);
});

test.each([
  'datadirect.dev-..%2F..%2Fetc.json',
  'datadirect.dev-.json',
  'datadirect.dev-PATH.json',
  'xdatadirect.dev-path.json',
  'datadirect.dev-path.json.bak',
])('a stranger’s file %s is neither read nor removed', async (name) => {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), JSON.stringify({ kind: 'datadirect.dev/../../etc', devices: [{ name: 'x' }] }));
  await publish();
  await publish({ resources: [] });
  expect(readdirSync(directory)).toEqual([name]);
});

test('a file of ours that names another kind leads nowhere else', async () => {
  await publish();
  writeFileSync(
    join(directory, FILE),
    JSON.stringify({ kind: '../../../etc/passwd', devices: [{ name: '../../x', containerEdits: {} }] }),
  );
  held = undefined;
  await publish({ resources: [] });
  expect(readdirSync(directory)).toEqual([]);
  expect(readdirSync(join(directory, '..'))).toEqual(['cdi']);
});

test('a withdrawn resource takes its file along, and nobody else’s', async () => {
  await publish();
  writeFileSync(join(directory, 'nvidia.com-gpu.json'), '{}');
  await publish({ resources: [] });
  expect(readdirSync(directory)).toEqual(['nvidia.com-gpu.json']);
});

test('what a container holds stays until it is given back: its name is replayed when it starts again', async () => {
  await publish();
  held = new Map([[KIND, new Set(['0002:03:00.0'])]]);
  await publish({ resources: [] });
  expect(names()).toEqual(['0002:03:00.0']);
  held = new Map();
  await publish({ resources: [] });
  expect(existsSync(join(directory, FILE))).toBe(false);
});

test('where it cannot be told what is held, everything stays', async () => {
  await publish();
  held = undefined;
  await publish({ paths: tray().slice(0, 2) });
  expect(names()).toHaveLength(4);
});

test('the next agent knows the files of the one before it', async () => {
  await publish();
  cdi = opened();
  await publish({ paths: tray().slice(0, 1) });
  expect(names()).toEqual(['0000:03:00.0']);
});

test.each(['', '{"kind":"nvidia.com/gpu"}', '[]', 'null'])('a damaged file (%s) is written anew', async (text) => {
  await publish();
  writeFileSync(join(directory, FILE), text);
  await publish();
  expect(names()).toHaveLength(4);
  expect(troubles).toEqual([]);
});

test('a file that somebody deleted comes back with the next round', async () => {
  await publish();
  rmSync(join(directory, FILE));
  await publish();
  expect(names()).toHaveLength(4);
});

test('what is said of names may be kept until files are published, or cannot be', async () => {
  const before = cdi.has;
  expect(cdi.has).toBe(before);
  await publish();
  const published = cdi.has;
  expect(published).not.toBe(before);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file where the directory should be');
  await publish();
  expect(cdi.has).not.toBe(published);
});

test('where nothing can be written no names are given, and that is told', async () => {
  writeFileSync(directory, 'a file where the directory should be');
  await publish();
  expect(troubles).toMatchObject([{ code: 'EEXIST' }]);
  expect(cdi.has(`${KIND}=0000:03:00.0`)).toBe(false);
});

test('on a full disk no names are given and the old file stays whole; with room again both are right', async () => {
  await publish();
  symlinkSync('/dev/full', join(directory, `${FILE}.new`));
  await publish({ paths: tray().slice(0, 2) });
  expect(troubles).toMatchObject([{ code: 'ENOSPC' }]);
  expect(names()).toHaveLength(4);
  expect(cdi.has(`${KIND}=0000:03:00.0`)).toBe(false);
  rmSync(join(directory, `${FILE}.new`));
  await publish({ paths: tray().slice(0, 2) });
  expect(names()).toHaveLength(2);
  expect(cdi.has(`${KIND}=0000:03:00.0`)).toBe(true);
});
