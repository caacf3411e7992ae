import { expect, it } from 'vitest';

import { Observer } from '../path/observe.ts';
import type { Change } from '../virtual/changes.ts';
import { applyChange } from '../virtual/changes.ts';
import { parseFixture } from '../virtual/fixture.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
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

it.each<[string, Change[]]>([
  ['names a VUID that no DMA function has', [['vuid', 'mlx5_0', 'VT2547VIRT999MLNXDATADIRECT0']]],
  ['has data direct switched off', [['vuid', 'mlx5_0', 'none']]],
  ['cannot be asked for a VUID', [['capability', 'mlx5_0', 'query_vuid', 'off']]],
])('of a NIC whose firmware %s, shows the same when it is a node again', async (_what, changes) => {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  for (const change of [...changes, ['unbind', '0000:03:00.0'], ['bind', '0000:03:00.0']]) applyChange(host, change);
  const before = await new Observer(host).round({ verification: 'None' });
  const dumped: unknown = JSON.parse(JSON.stringify(await dumpOf(host, await readNode(host, 'None'))));
  const after = await new Observer(createVirtualHost(parseFixture('dump', dumped))).round({ verification: 'None' });
  expect(after).toEqual(before);
  expect(after[0]?.reason).not.toBe('Paired');
});
