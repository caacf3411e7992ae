import { expect, it } from 'vitest';

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
