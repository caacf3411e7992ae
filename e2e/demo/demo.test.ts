// `make demo` is what people see first: it ends well on the tray and on machines of all kinds, and says what is wrong with a bad file.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

const demo = join(import.meta.dirname, 'demo.ts');
const tray = join(import.meta.dirname, '../../driver-core/fixtures/gb300-tray.json');

function play(fixture: string): Promise<{ code: number; claims: string[]; told: string }> {
  const node = ['--conditions=@data-direct/source', '--disable-warning=ExperimentalWarning'];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [...node, demo, '--fixture', fixture], { timeout: 60_000 }, (_, told) => {
      const claims = told.split('\n').filter((line) => /^ +[✓✗]/.test(line));
      resolve({
        code: child.exitCode ?? -1,
        claims: claims.map((line) => line.trim().replace(/\d+ ms/, 'some ms')),
        told,
      });
    });
  });
}

/** A dump of one's own, gone after the test. */
function dumped(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'data-direct-dump-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'dump.json');
  writeFileSync(file, text);
  return file;
}

test('the tray: paired, advertised, allocated, broken and mended', async () => {
  const { code, claims } = await play('gb300-tray');
  expect(claims).toEqual([
    '✓ 5 NIC functions, each with its reason',
    '✓ datadirect.dev/path: 4 devices, all healthy',
    '✓ data direct is on, for NCCL, UCX and NVSHMEM alike',
    '✓ data direct is off, for NCCL, UCX and NVSHMEM alike',
    '✓ mlx5_0 is Degraded, DmaDriverNotBound: DMA function 0009:03:00.0 of mlx5_0 (0000:03:00.0) has no driver; expected mlx5_ib or mlx5_dd',
    '✓ data direct is off, for NCCL, UCX and NVSHMEM alike',
    '✓ the kubelet has 3 healthy devices; 0000:03:00.0 is unhealthy',
    '✓ the kubelet has all 4 devices again, some ms later',
    '✓ data direct is on, for NCCL, UCX and NVSHMEM alike',
    '✓ the kubelet knew after some ms',
  ]);
  expect(code).toBe(0);
});

test('two ports that share a DMA function go and come back together', async () => {
  const { code, claims } = await play('dual-port');
  expect(claims.filter((claim) => claim.startsWith('✗'))).toEqual([]);
  expect(claims).toContainEqual(
    expect.stringMatching(/^✓ the kubelet has \d healthy devices; \S+ and \S+ are unhealthy$/),
  );
  expect(code).toBe(0);
});

test('a dump with a path that is not ready: data direct is off for a pod with all of them, and the others break and heal', async () => {
  const functions = JSON.parse(readFileSync(tray, 'utf8')) as { realpath: string }[];
  const { code, claims } = await play(
    dumped(JSON.stringify(functions.filter(({ realpath }) => !realpath.endsWith('/0018:03:00.0')))),
  );
  expect(claims.filter((claim) => claim.startsWith('✗'))).toEqual([]);
  expect(claims).toContain('✓ the kubelet has 2 healthy devices; 0000:03:00.0 is unhealthy');
  expect(claims).not.toContain('✓ data direct is on, for NCCL, UCX and NVSHMEM alike');
  expect(code).toBe(0);
});

test('a fixture that is neither shipped nor a file ends the demo, by its name', async () => {
  const { code, claims } = await play('no-such-machine');
  expect(claims).toEqual([
    expect.stringMatching(/^✗ no-such-machine: no such file, and no shipped fixture of that name/),
  ]);
  expect(code).toBe(1);
});

test.each([
  ['{"realpath"', 'in JSON'],
  ['{"a": 1}', '$: expected an array, got {"a":1}'],
  ['[{"realpath": "/sys/devices/x", "colour": 1}]', 'colour'],
])('a file that is no dump ends the demo, with file and place: %s', async (text, why) => {
  const file = dumped(text);
  const { code, claims } = await play(file);
  expect(claims).toEqual([expect.stringContaining(`✗ ${file}: `)]);
  expect(claims[0]).toContain(why);
  expect(code).toBe(1);
});
