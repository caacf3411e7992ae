import { describe, expect, it } from 'vitest';

import type { Host } from '../host/host.ts';
import { Errno } from '../host/host.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { unprivileged } from '../virtual/unprivileged.ts';
import { verify } from './verify.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';

interface Shown {
  readonly changes: readonly Change[];
  readonly operands: readonly string[];
  readonly json: boolean;
  readonly abi: boolean;
  readonly fixture: string;
  readonly as: (host: VirtualHost) => Host;
}

async function verified(shown: Partial<Shown> = {}) {
  const { changes = [], operands = ['mlx5_0'], json = false, abi = false, as = (host) => host } = shown;
  const fixture = await loadFixture(shown.fixture ?? 'gb300-tray');
  const host = createVirtualHost({ ...fixture, extension: { ...fixture.extension!, fwctl: true } });
  for (const change of changes) applyChange(host, change);
  const out: string[] = [];
  const err: string[] = [];
  const status = await verify.run({
    host: as(host),
    given: { json, abi },
    operands,
    terminal: { out: (line) => out.push(line), err: (line) => err.push(line), paint: (_format, text) => text },
    signal: new AbortController().signal,
  });
  return { status, out: out.join('\n'), err: err.join('\n'), host };
}

/** Verdicts by step. */
function steps(json: string): Record<string, string> {
  const { nics } = JSON.parse(json) as { nics: { steps: { step: string; verdict: string; errno?: string }[] }[] };
  return Object.fromEntries(
    (nics[0]?.steps ?? []).map(({ step, verdict, errno }) => [
      step,
      errno === undefined ? verdict : `${verdict} ${errno}`,
    ]),
  );
}

const poor = (host: VirtualHost): Host => ({
  ...unprivileged(host),
  dmabuf: async () => new Errno('ENODEV', 19, '/dev/udmabuf (ENOENT), /dev/dma_heap/system (EACCES)'),
});

describe('data-direct verify', () => {
  it('registers a real buffer on each NIC that may have data direct, asks its firmware both ways, and leaves nothing behind', async () => {
    const { status, out, host } = await verified({ operands: [] });
    expect(status).toBe(0);
    expect(out.split('\n').filter((line) => !line.startsWith(' '))).toEqual([
      'mlx5_0 (0000:03:00.0)',
      'mlx5_1 (0002:03:00.0)',
      'mlx5_2 (0010:03:00.0)',
      'mlx5_3 (0012:03:00.0)',
    ]);
    expect(out).toMatch(/OK {2}registration +262144 bytes of a DMABUF: lkey 0x[0-9a-f]+, rkey 0x[0-9a-f]+/);
    expect(out).toMatch(/VUID through DEVX +the firmware names VT2547VIRT001MLNXDATADIRECT0, the VUID of 0009:03:00.0/);
    expect(out).toMatch(/VUID through fwctl +the firmware names VT2547VIRT001/);
    expect(host.kernel.rdmaDevices().map(({ mkeys }) => mkeys.count)).toEqual([0, 0, 0, 0, 0]);
  });

  it('takes NICs by RDMA device or PCI address, and names those that there are for one that is not', async () => {
    expect((await verified({ operands: ['mlx5_1', NIC] })).out).toMatch(/^mlx5_1 .*mlx5_0 \(0000:03:00.0\)/s);
    const { status, err } = await verified({ operands: ['mlx5_7'] });
    expect([status, err]).toEqual([2, 'no NIC "mlx5_7"; there are mlx5_0, mlx5_1, mlx5_2, mlx5_3, mlx5_4']);
  });

  it.each<[string, Change[], Record<string, string>]>([
    ['the DMA function has no driver', [['unbind', DMA]], { pairing: 'FAIL ENODEV', 'VUID through DEVX': 'OK' }],
    [
      'the firmware lacks crossing_vhca_mkey, which the probe cannot see',
      [['capability', NIC, 'crossing_vhca_mkey', 'off']],
      { probe: 'OK', registration: 'FAIL EOPNOTSUPP', 'capabilities through DEVX': 'FAIL' },
    ],
    [
      'the node may not be opened',
      [['refuse', NIC, 'open', 'EACCES']],
      { context: 'FAIL EACCES', 'firmware through DEVX': 'SKIP EACCES', 'VUID through fwctl': 'OK' },
    ],
    ['there is no node', [['hide-uverbs', NIC]], { context: 'FAIL', 'VUID through fwctl': 'OK' }],
    [
      'the RDMA cgroup is used up',
      [['rdma-limit', '1']],
      { context: 'OK', pairing: 'OK', 'protection domain': 'FAIL EAGAIN' },
    ],
    [
      'data direct is off',
      [
        ['unbind', NIC],
        ['vuid', NIC, 'none'],
        ['bind', NIC],
      ],
      { pairing: 'FAIL ENODEV', 'capabilities through DEVX': 'FAIL' },
    ],
  ])('says at which step it fails when %s', async (_what, changes, expected) => {
    const { status, out } = await verified({ changes, json: true });
    expect(status).toBe(100);
    expect(steps(out)).toMatchObject(expected);
  });

  it('tells what the VPD of the DMA function says, and that its checksum is wrong, which the kernel does not ask for', async () => {
    const intact = await verified();
    expect(intact.out).toMatch(
      /OK {2}VPD of 0009:03:00.0 +VU VT2547VIRT001MLNXDATADIRECT0, V3 \w+, PN .*, SN .*, checksum good$/m,
    );
    const spoiled = await verified({
      as: (host) => {
        // What is named is in no keyword, so that nothing but the sum changes.
        host.alter(({ hardware }) => hardware.get(DMA)?.vpd?.write('W', 3));
        return host;
      },
    });
    expect(spoiled.status).toBe(0);
    expect(spoiled.out).toMatch(/OK {2}VPD of 0009:03:00.0 +VU VT2547VIRT001MLNXDATADIRECT0, .*, checksum bad$/m);
  });

  it('names file, offset and rule where that VPD is cut off', async () => {
    const { status, out } = await verified({ changes: [['vpd-truncate', DMA, '40']] });
    expect(status).toBe(100);
    expect(out).toMatch(
      /FAIL {2}VPD of 0009:03:00.0 +\/sys\/bus\/pci\/devices\/0009:03:00.0\/vpd: VPD ends inside resource 0x90 at offset 0x\w+: \d+ bytes announced, \d+ present$/m,
    );
  });

  it('takes a firmware that does not answer users for no failure', async () => {
    const { status, out } = await verified({ changes: [['firmware-refuse', NIC, 'query_vuid', '0x02']], json: true });
    expect(status).toBe(0);
    expect(steps(out)).toMatchObject({ 'VUID through DEVX': 'SKIP EREMOTEIO', 'VUID through fwctl': 'SKIP EREMOTEIO' });
  });

  it('skips what only root can compare, and what needs a DMABUF where there is none', async () => {
    const { status, out } = await verified({ as: poor });
    expect(status).toBe(0);
    expect(out).toMatch(
      /SKIP +registration +no DMABUF without a GPU: .dev.udmabuf \(ENOENT\), .dev.dma_heap.system \(EACCES\)/,
    );
    expect(out).toContain('no VPD can be read to compare it with');
    expect(out).toMatch(/SKIP +firmware through fwctl +open answered EACCES/);
  });

  it('has verified nothing where no NIC may have data direct', async () => {
    const { status, out } = await verified({ fixture: 'gb200-cx7', operands: [] });
    expect([status, out]).toEqual([100, 'no NIC with an RDMA device that may have data direct: nothing was verified']);
  });
});

describe('data-direct verify --abi', () => {
  it('asks every uverbs device of any driver', async () => {
    const { status, out } = await verified({
      abi: true,
      operands: [],
      changes: [
        ['rxe-add', 'rxe0'],
        ['unbind', DMA],
      ],
    });
    expect(out.split('\n').filter((line) => !line.startsWith(' '))).toEqual([
      'uverbs0 (mlx5_0): mlx5, not paired',
      'uverbs1 (mlx5_1): mlx5, paired',
      'uverbs2 (mlx5_2): mlx5, paired',
      'uverbs3 (mlx5_3): mlx5, paired',
      'uverbs4 (mlx5_4): mlx5, not paired',
      'uverbs5 (rxe0): without DMABUFs',
    ]);
    expect(out).not.toContain('FAIL');
    expect(status).toBe(0);
  });

  it('says which answer is another than expected', async () => {
    const { status, out } = await verified({ abi: true, changes: [['refuse', NIC, 'path', 'ENODEV']] });
    expect(status).toBe(100);
    expect(out).toMatch(/FAIL {2}data direct registration of no file +EBADF +expected EINVAL/);
  });

  it('is for programs too', async () => {
    const { status, out } = await verified({ abi: true, json: true, operands: ['uverbs0'] });
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      format: 'data-direct/verify-abi/1',
      ok: true,
      devices: [{ uverbs: 'uverbs0', rdmaDevice: 'mlx5_0', report: { driver: 'mlx5', kind: 'mlx5, paired' } }],
    });
  });

  it('fails on a node that cannot be opened, and on one that is not there', async () => {
    const { status, out } = await verified({ abi: true, changes: [['refuse', NIC, 'open', 'EPERM']] });
    expect([status, out]).toEqual([100, 'uverbs0 (mlx5_0): could not be opened: EPERM']);
    const unknown = await verified({ abi: true, operands: ['uverbs9'] });
    expect([unknown.status, unknown.err]).toEqual([
      2,
      expect.stringContaining('no uverbs device "uverbs9"; there are uverbs0 (mlx5_0)'),
    ]);
  });
});
