// A container's libmlx5, found in directories that stand for its root. On real containers and Debian's own libraries: e2e.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { refused } from '../host/host.ts';
import { libraryDefining } from '../virtual/shared-library.ts';
import { Root } from './root.ts';
import { runtimeLibraryIn, runtimeLibraryOf } from './runtime-library.ts';

const old = libraryDefining(['MLX5_1.0', 'MLX5_1.24']);
const fresh = libraryDefining(['MLX5_1.0', 'MLX5_1.24', 'MLX5_1.25']);

/** Holds the root and, beside it, what is none of the container's business. */
let outside: string;
let directory: string;
let root: Root;

beforeEach(async () => {
  outside = mkdtempSync(join(tmpdir(), 'container-'));
  directory = join(outside, 'root');
  mkdirSync(directory);
  root = await Root.open(directory);
  onTestFinished(() => {
    root.close();
    rmSync(outside, { recursive: true });
  });
});

function put(path: string, bytes: Buffer | string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), bytes);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  symlinkSync(target, join(directory, path));
}

/** Why a path cannot be read. */
function refusal(path: string): string {
  const answer = root.read(path);
  return refused(answer) ? answer.code : 'read';
}

test('the library behind the usual links is told with the version of rdma-core in its name', () => {
  put('/usr/lib/x86_64-linux-gnu/libmlx5.so.1.24.44.0', old);
  link('/usr/lib/x86_64-linux-gnu/libmlx5.so.1', 'libmlx5.so.1.24.44.0');
  link('/lib', 'usr/lib');
  expect(runtimeLibraryIn(root)).toMatchObject({
    path: '/usr/lib/x86_64-linux-gnu/libmlx5.so.1.24.44.0',
    rdmaCore: '44.0',
    newest: 'MLX5_1.24',
    knowsDataDirect: false,
  });
});

test('a newer one that is mounted over it keeps its name, which is not taken for its version', () => {
  put('/usr/lib/x86_64-linux-gnu/libmlx5.so.1.24.44.0', fresh);
  link('/usr/lib/x86_64-linux-gnu/libmlx5.so.1', 'libmlx5.so.1.24.44.0');
  expect(runtimeLibraryIn(root)).toMatchObject({ rdmaCore: undefined, newest: 'MLX5_1.25', knowsDataDirect: true });
});

test.each(['/usr/lib64', '/lib/aarch64-linux-gnu', '/usr/local/lib', '/usr/lib'])('it is found in %s', (place) => {
  put(`${place}/libmlx5.so.1`, fresh);
  expect(runtimeLibraryIn(root)).toMatchObject({ newest: 'MLX5_1.25', knowsDataDirect: true, rdmaCore: undefined });
});

test('what LD_LIBRARY_PATH names comes before the usual directories', () => {
  put('/usr/lib64/libmlx5.so.1', fresh);
  put('/opt/rdma/libmlx5.so.1', old);
  expect(runtimeLibraryIn(root, ['/opt/rdma'])?.knowsDataDirect).toBe(false);
});

test('a container without the library has none, whatever the node has', () => {
  put('/usr/lib/libc.so.6', fresh);
  expect(runtimeLibraryIn(root)).toBeUndefined();
});

test('an absolute link leads on inside of the root', () => {
  put('/opt/there.so', fresh);
  link('/usr/lib64/libmlx5.so.1', '/opt/there.so');
  expect(runtimeLibraryIn(root)?.knowsDataDirect).toBe(true);
});

test.each(['../../../secret', '/../../secret', `../../../../../../../../../../etc/passwd`])(
  'a link to %s does not lead out of the root',
  (target) => {
    writeFileSync(join(outside, 'secret'), fresh);
    link('/usr/lib64/libmlx5.so.1', target);
    expect(refusal('/usr/lib64/libmlx5.so.1')).toBe('ENOENT');
  },
);

test('a link out by way of the process file system is refused', () => {
  link('/proc', '/self');
  symlinkSync('/proc/self/root', join(directory, 'way-out'));
  expect(refusal('/way-out/etc/passwd')).toBe('ENOENT');
});

test('links in a circle, directories and FIFOs are no files', () => {
  link('/a', 'b');
  link('/b', 'a');
  mkdirSync(join(directory, 'directory'));
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  expect(['/a', '/directory', '/fifo'].map(refusal)).toEqual(['ELOOP', 'EINVAL', 'EINVAL']);
});

test('a library that is none is told with its file', () => {
  put('/usr/lib64/libmlx5.so.1', 'INPUT(libmlx5.so.2)');
  expect(() => runtimeLibraryIn(root)).toThrow('/usr/lib64/libmlx5.so.1: at offset 0x0: no ELF file');
});

test('a process brings its root and its LD_LIBRARY_PATH along', async () => {
  const process = join(outside, '17');
  mkdirSync(process);
  symlinkSync(directory, join(process, 'root'));
  writeFileSync(join(process, 'environ'), 'PATH=/bin\0LD_LIBRARY_PATH=relative:/opt/a:/opt/b\0');
  put('/opt/b/libmlx5.so.1', fresh);
  put('/usr/lib64/libmlx5.so.1', old);
  expect((await runtimeLibraryOf(17, outside))?.knowsDataDirect).toBe(true);
});

test('a process that is not there is named', async () => {
  await expect(runtimeLibraryOf(18, outside)).rejects.toThrow(
    'process 18 cannot be looked into: there is no such process',
  );
});
