import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyInto, executablesBelow, filesBelow, writeInto } from './tree.ts';

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'tree-'));
});
afterEach(() => {
  rmSync(tree, { recursive: true });
});

const mode = (path: string): number => statSync(join(tree, path)).mode & 0o7777;

test('a program that was copied by accident does not become one that can be started', async () => {
  await copyInto(tree, 'node', process.execPath, 0o755);
  await copyInto(tree, 'bin/sh', '/bin/sh');
  expect(await executablesBelow(tree)).toEqual(['node']);
  expect(await filesBelow(tree)).toEqual(['bin/sh', 'node']);
});

test('a shell in an image is found, wherever it is and whoever may start it', async () => {
  await writeInto(tree, 'usr/lib/deep/busybox', '');
  chmodSync(join(tree, 'usr/lib/deep/busybox'), 0o100);
  expect(await executablesBelow(tree)).toEqual(['usr/lib/deep/busybox']);
});

test('modes do not depend on the umask of whoever builds', async () => {
  const before = process.umask(0o077);
  try {
    await writeInto(tree, 'etc/ssl/certs/all.crt', 'text');
    await copyInto(tree, 'node', process.execPath, 0o755);
  } finally {
    process.umask(before);
  }
  expect(['etc', 'etc/ssl', 'etc/ssl/certs'].map(mode)).toEqual([0o755, 0o755, 0o755]);
  expect([mode('etc/ssl/certs/all.crt'), mode('node')]).toEqual([0o644, 0o755]);
});
