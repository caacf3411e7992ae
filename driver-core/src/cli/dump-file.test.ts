import { expect, it } from 'vitest';

import type { Host } from '../host/host.ts';
import { Observer } from '../path/observe.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { parseFixture } from '../virtual/fixture.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { errno } from '../virtual/kernel/errno.ts';
import { loadFixture } from '../virtual/load.ts';
import { unprivileged } from '../virtual/unprivileged.ts';
import { dumpOf } from './dump-file.ts';
import { readNode } from './node.ts';

it('of a node from which a NIC with VFs goes away meanwhile can be read all the same', async () => {
  const host = createVirtualHost(await loadFixture('dual-port'));
  const node = await readNode(host, 'None');
  const vf = node.paths.find(({ nic }) => nic.function === 'VF');
  const pf = host.sysfs.real('bus/pci/devices/0000:03:00.0');
  host.sysfsTree.directory(pf as string).entries.delete('modalias');
  const { functions } = parseFixture('dump', JSON.parse(JSON.stringify(await dumpOf(host, node))));
  const addresses = functions.map(({ address }) => address);
  expect(addresses).toContain(vf?.id);
  expect(addresses).not.toContain('0000:03:00.0');
});

/** The node that its dump makes. */
async function replayed(host: Host): Promise<Host> {
  const dumped = JSON.stringify(await dumpOf(host, await readNode(host, 'None')));
  return createVirtualHost(parseFixture('dump', JSON.parse(dumped)));
}

const round = (host: Host) => new Observer(host).round({ verification: 'None' });

it.each<[string, Change[]]>([
  ['names a VUID that no DMA function has', [['vuid', 'mlx5_0', 'VT2547VIRT999MLNXDATADIRECT0']]],
  ['has data direct switched off', [['vuid', 'mlx5_0', 'none']]],
  ['cannot be asked for a VUID', [['capability', 'mlx5_0', 'query_vuid', 'off']]],
  [
    'makes no user contexts',
    [
      ['vuid', 'mlx5_0', 'none'],
      ['capability', 'mlx5_0', 'log_max_uctx', 'off'],
    ],
  ],
])('of a NIC whose firmware %s, shows the same when it is a node again', async (_what, changes) => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of [...changes, ['unbind', '0000:03:00.0'], ['bind', '0000:03:00.0']]) applyChange(host, change);
  const before = await round(host);
  const after = await round(await replayed(host));
  expect(after).toEqual(before);
  expect(after[0]?.reason).not.toBe('Paired');
});

const DMA = '0009:03:00.0';

it('of a node with SFs holds them, each as it was, and rdma_topo’s own entries as they are without them', async () => {
  const host = createVirtualHost(await loadFixture('sub-functions'));
  for (const change of [
    ['unbind', '0000:03:00.0/sf88'],
    ['refuse', 'mlx5_3', 'devx', 'EPROTONOSUPPORT'],
    ['port-down', 'mlx5_4'],
    ['remove', '0019:06:00.0'],
  ])
    applyChange(host, change);
  const replay = await replayed(host);
  expect(await round(replay)).toEqual(await round(host));
  const entries = (await dumpOf(host, await readNode(host, 'None'))) as {
    realpath: string;
    subsystems: { infiniband?: string[] };
  }[];
  expect(entries.every(({ realpath }) => realpath === '/sys' || /\/[0-9a-f:.]{12}$/.test(realpath))).toBe(true);
  expect(entries.flatMap(({ subsystems }) => subsystems?.infiniband ?? [])).toEqual(['mlx5_0', 'mlx5_1']);
});

it.each<[string, string, Change[]]>([
  ['could not be opened', 'PairingUnverified', [['refuse', 'mlx5_0', 'open', 'EACCES']]],
  ['gave no context', 'DeviceUnresponsive', [['refuse', 'mlx5_0', 'get-context', 'EAGAIN']]],
  ['did not know the question', 'KernelTooOld', [['refuse', 'mlx5_0', 'path', 'EPROTONOSUPPORT']]],
  ['answered with an errno that has no name', 'KernelRefused', [['refuse', 'mlx5_0', 'path', '133']]],
  ['did not answer', 'DeviceUnresponsive', [['refuse', 'mlx5_0', 'path', 'ETIMEDOUT']]],
  ['was missing', 'VerbsNodeMissing', [['hide-uverbs', 'mlx5_0']]],
])('of a NIC whose uverbs node %s, is a node that knows no more', async (_what, reason, changes) => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of changes) applyChange(host, change);
  const before = await round(host);
  const after = await round(await replayed(host));
  expect(after).toEqual(before);
  expect(after[0]).toMatchObject({ reason, verified: 'None' });
  expect(after[0]?.evidence).not.toBe('KernelIoctl');
});

it.each<[string, string, Change[]]>([
  ['broke after its driver had read it', 'Paired', [['vpd-truncate', DMA, '40']]],
  ['cannot be read any more', 'Paired', [['vpd-unreadable', DMA]]],
  ['names another VUID now', 'Paired', [['vpd-set', DMA, 'VU', 'ANOTHER']]],
])('of a DMA function whose VPD %s, shows what the kernel still pairs', async (_what, reason, changes) => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of changes) applyChange(host, change);
  const before = await round(host);
  const after = await round(await replayed(host));
  expect(after).toEqual(before);
  expect(after[0]).toMatchObject({ reason, evidence: 'KernelIoctl', dma: { address: DMA } });
});

it('of a kernel that pairs none although the firmware names a function that is bound, shows that conflict', async () => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  const vuid = host.kernel.hardware.get('0000:03:00.0')?.firmware?.dataDirectVuid ?? '';
  for (const change of [
    ['vuid', 'mlx5_0', 'none'],
    ['unbind', '0000:03:00.0'],
    ['bind', '0000:03:00.0'],
    ['vuid', 'mlx5_0', vuid],
  ])
    applyChange(host, change);
  const before = await round(host);
  expect(before[0]?.reason).toBe('EvidenceConflict');
  expect(await round(await replayed(host))).toEqual(before);
});

it('of a NIC that the kernel pairs with none and whose firmware keeps its VUID to itself, claims nothing about it', async () => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  applyChange(host, ['firmware-refuse', 'mlx5_0', 'query_vuid', '0x2']);
  for (const change of [
    ['vpd-set', DMA, 'VU', 'ANOTHER'],
    ['unbind', DMA],
    ['bind', DMA],
  ])
    applyChange(host, change);
  const [before] = await round(host);
  const [after] = await round(await replayed(host));
  expect(before).toMatchObject({ reason: 'NoDmaFunction' });
  expect(after).toEqual({
    ...before,
    message: expect.stringContaining('QUERY_VUID answered EREMOTEIO (121): refused when the dump was taken') as string,
  });
});

it('of somebody who is not root, is a node of which that one knows no more and no less', async () => {
  const host = unprivileged(createVirtualHost(await loadFixture('gb300-tray')));
  const again = await replayed(host);
  expect(await round(again)).toEqual(await round(host));
  const [before, after] = [await readNode(host, 'None'), await readNode(again, 'None')];
  expect(after.unread).toEqual(before.unread);
  expect(after.paths.map(({ evidence }) => evidence)).toContain('KernelIoctl');
});

it('of a NIC whose port cannot be read, does not make its link up', async () => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  host.alter((kernel) => {
    kernel.hardware.get('0000:03:00.0')!.firmware!.portRefusal = errno('EINVAL', 'state');
  });
  const before = await round(host);
  expect(before[0]?.reason).toBe('PortDown');
  expect(await round(await replayed(host))).toEqual(before);
});

it('of a NIC without mlx5_ib, has no RDMA device either', async () => {
  const host = createVirtualHost(await loadFixture('one-domain'));
  const [path] = await round(host);
  host.sysfsTree.directory(host.sysfs.real(`bus/pci/devices/${path?.id}`) as string).entries.delete('infiniband');
  host.sysfsTree.directory('class/infiniband').entries.delete(path?.nic.rdmaDevice ?? '');
  const before = await round(host);
  expect(before[0]?.reason).toBe('WaitingForDriver');
  expect((await round(await replayed(host)))[0]?.reason).toBe('WaitingForDriver');
});

it.each(['0: NOP', '5: ACTIVE_DEFER', '9: FROM_THE_FUTURE', 'garbage'])(
  'of a node with a port in the state %j can be a node again, with that port no better',
  async (state) => {
    const host = createVirtualHost(await loadFixture('dgx-station'));
    const nic = host.sysfs.real('bus/pci/devices/0000:03:00.0') as string;
    host.sysfsTree.file(`${nic}/infiniband/mlx5_0/ports/1/state`, `${state}\n`);
    expect((await round(await replayed(host)))[0]?.reason).toBe('PortDown');
  },
);
