// A process of this machine with a libmlx5 of our making: what `data-direct check --container` says of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { run } from '../cli.ts';
import { libraryDefining } from '../virtual/shared-library.ts';

let directory: string;
let container: ChildProcess;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'container-'));
  container = spawn('sleep', ['60'], { env: { LD_LIBRARY_PATH: directory }, stdio: 'ignore' });
  onTestFinished(() => {
    container.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });
});

async function check(...options: string[]) {
  const lines: string[] = [];
  const err: string[] = [];
  const status = await run(['check', ...options], {
    out: (line) => lines.push(line),
    err: (line) => err.push(line),
    paint: (_, text) => text,
  });
  return { status, out: lines.join('\n'), err: err.join('\n') };
}

const library = (...versions: string[]): void => {
  writeFileSync(join(directory, 'libmlx5.so.1'), libraryDefining(versions));
};

test('a library that is too old is told with its path, its newest version and what to do', async () => {
  library('MLX5_1.0', 'MLX5_1.24');
  expect(await check('--container', `${container.pid}`)).toEqual({
    status: 100,
    out: [
      `FAIL  container ${container.pid}  RuntimeLibraryTooOld: ${directory}/libmlx5.so.1 lacks MLX5_1.25, its newest version is MLX5_1.24`,
      '      mend: build the image with rdma-core 54 or newer, or mount the node’s with agent.rdmaCore.mount of the chart',
    ].join('\n'),
    err: '',
  });
});

test('a library that is new enough is fine', async () => {
  library('MLX5_1.0', 'MLX5_1.25');
  const { status, out } = await check('--container', `${container.pid}`);
  expect(status).toBe(0);
  expect(out).toBe(`OK    container ${container.pid}  ${directory}/libmlx5.so.1 has MLX5_1.25`);
});

test('programs get the same as JSON', async () => {
  library('MLX5_1.0', 'MLX5_1.24');
  const { status, out } = await check('--container', `${container.pid}`, '--json');
  expect(status).toBe(100);
  expect(JSON.parse(out)).toMatchObject({
    format: 'data-direct/check-container/1',
    ok: false,
    pid: container.pid,
    reason: 'RuntimeLibraryTooOld',
    library: { path: `${directory}/libmlx5.so.1`, newest: 'MLX5_1.24', knowsDataDirect: false },
  });
});

test('a file of that name that is no library is told', async () => {
  writeFileSync(join(directory, 'libmlx5.so.1'), 'INPUT(-lmlx5)');
  const { status, err } = await check('--container', `${container.pid}`);
  expect([status, err]).toEqual([1, `${directory}/libmlx5.so.1: at offset 0x0: no ELF file`]);
});

test.each([
  [['--container', 'nginx'], 2, '--container takes the id of a process on this machine, got "nginx"'],
  [['--container', '../1'], 2, '--container takes the id of a process on this machine, got "../1"'],
  [['--container', '999999999'], 1, 'process 999999999 cannot be looked into: there is no such process'],
  [
    ['--container', '1', '--from', 'gb300-tray'],
    2,
    '--container looks into a process of this machine, --from at another one',
  ],
])('check %j is answered with code %i and a sentence', async (options, code, sentence) => {
  const { status, err } = await check(...options);
  expect(status).toBe(code);
  expect(err.split('\n')[0]).toBe(sentence);
});
