import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { run } from './cli.ts';
import { dumpOf } from './cli/dump.ts';
import { Observer } from './path/observe.ts';
import type { Path } from './path/path.ts';
import type { Change } from './virtual/changes.ts';
import { applyChange } from './virtual/changes.ts';
import { createVirtualHost } from './virtual/host.ts';
import { loadFixture } from './virtual/load.ts';

const directory = mkdtempSync(join(tmpdir(), 'data-direct-cli-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function dataDirect(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const status = await run(argv, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    paint: (_, text) => text,
  });
  return { status, out: out.join('\n'), err: err.join('\n') };
}

/** The tray with these changes, dumped to a file as a report from the field would be. */
async function reported(...changes: readonly Change[]) {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of changes) applyChange(host, change);
  const file = join(directory, `${changes.flat().join('-').replaceAll(':', '_')}.json`);
  writeFileSync(file, JSON.stringify(await dumpOf(host)));
  return { file, paths: await new Observer(host).round({ verification: 'None' }) };
}

/** Without the numbers of the device nodes, which tell the order of probes since boot and nothing of the path. */
function judged(paths: readonly Path[]) {
  return paths.map(({ id, name, reason, evidence, dma, gpus, complex }) => ({
    path: [id, name, complex, evidence, reason],
    dma: [dma?.address, dma?.driver, dma?.vuid, dma?.iommuGroup],
    gpus: gpus.map(({ address, iommuGroup }) => [address, iommuGroup]),
  }));
}

describe('data-direct topo', () => {
  it('shows which NIC reaches which GPU', async () => {
    const { status, out } = await dataDirect('topo', '--from', 'gb300-tray');
    expect(status).toBe(0);
    expect(out.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
      'PATH | NIC | MODEL | PORT | DMA FUNCTION | DRIVER | GPU | NUMA | EVIDENCE | REASON',
      'mlx5_0 | 0000:03:00.0 | ConnectX-8 | InfiniBand ACTIVE | 0009:03:00.0 | mlx5_ib | 0009:06:00.0 | 0 | KernelIoctl | Paired',
      'mlx5_1 | 0002:03:00.0 | ConnectX-8 | InfiniBand ACTIVE | 0008:03:00.0 | mlx5_ib | 0008:06:00.0 | 0 | KernelIoctl | Paired',
      'mlx5_2 | 0010:03:00.0 | ConnectX-8 | InfiniBand ACTIVE | 0019:03:00.0 | mlx5_ib | 0019:06:00.0 | 1 | KernelIoctl | Paired',
      'mlx5_3 | 0012:03:00.0 | ConnectX-8 | InfiniBand ACTIVE | 0018:03:00.0 | mlx5_ib | 0018:06:00.0 | 1 | KernelIoctl | Paired',
      'mlx5_4 | 0016:03:00.0 | BlueField-3 | Ethernet ACTIVE | - | - | - | 1 | - | NoDmaFunction',
      '',
      '4 of 5 ready; data-direct check says what the others lack',
    ]);
  });

  it('gives programs the paths themselves', async () => {
    const { out } = await dataDirect('topo', '--from', 'gb300-tray', '--json');
    expect(JSON.parse(out)).toMatchObject([
      { id: '0000:03:00.0', gpus: [{ address: '0009:06:00.0' }] },
      {},
      {},
      {},
      {},
    ]);
  });
});

describe('data-direct check', () => {
  it('is content with a healthy tray: nobody expects data direct of its BlueField', async () => {
    const { status, out } = await dataDirect('check', '--from', 'gb300-tray');
    expect(status).toBe(0);
    expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(['OK', 'OK', 'OK', 'OK', 'SKIP']);
  });

  it('names the fault and the very command that mends it, and tells scripts by exit code 100', async () => {
    const { file } = await reported(['unbind', '0009:03:00.0']);
    const { status, out } = await dataDirect('check', '--from', file);
    expect(status).toBe(100);
    expect(out).toContain(
      'FAIL  mlx5_0  DmaDriverNotBound: DMA function 0009:03:00.0 of mlx5_0 (0000:03:00.0) has no driver',
    );
    expect(out).toContain('mend: load mlx5_ib, then echo 0009:03:00.0 > /sys/bus/pci/drivers_probe');
  });
});

describe('data-direct dump', () => {
  it.each<{ changes: readonly Change[] }>([
    { changes: [] },
    { changes: [['unbind', '0009:03:00.0']] },
    { changes: [['remove', '0009:06:00.0']] },
    { changes: [['regroup', '0009:03:00.0', '77']] },
    { changes: [['port-down', 'mlx5_2']] },
    { changes: [['unbind', '0002:03:00.0']] },
    { changes: [['rdma-namespaces', 'exclusive']] },
    { changes: [['vpd-set', '0009:03:00.0', 'V3', 'another']] },
  ])('makes a test of any report: after $changes the file shows the same paths as the node', async ({ changes }) => {
    const { file, paths } = await reported(...changes);
    const { out } = await dataDirect('topo', '--json', '--from', file);
    expect(judged(JSON.parse(out) as Path[])).toEqual(judged(paths));
  });
});

describe('misuse', () => {
  it.each([
    [[], 'no command given'],
    [['frobnicate'], 'no command "frobnicate"'],
    [['topo', 'all'], 'topo takes no argument, got "all"'],
    [['dump', '--json'], 'dump has no --json'],
    [['topo', '--frm', 'x'], "Unknown option '--frm'"],
  ])('%j is told with the usage', async (argv, problem) => {
    const { status, err } = await dataDirect(...argv);
    expect(status).toBe(2);
    expect(err).toContain(problem);
    expect(err).toContain('data-direct <command>');
  });

  it('of --from names the file', async () => {
    const { status, err } = await dataDirect('topo', '--from', 'nowhere.json');
    expect(status).toBe(1);
    expect(err).toContain('nowhere.json: no such file');
  });

  it('is not to ask for help', async () => {
    const { status, out } = await dataDirect('--help');
    expect(status).toBe(0);
    expect(out).toContain('Exit codes');
  });

  it('of virtual is told by virtual', async () => {
    const { status, out } = await dataDirect('virtual', '--help');
    expect(status).toBe(0);
    expect(out).toContain('unbind');
  });
});
