// What is noticed about ports stands in follow.test.ts; here, whose port it is.
import { expect, it } from 'vitest';

import { applyChange } from '../virtual/changes.ts';
import { ManualClock } from '../virtual/clock.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { PortWatch } from './port-watch.ts';

const POLL = 5000;
/** At rest ports are looked at less often. */
const MOST_POLLS = 6;

it('a second RDMA device of a NIC, whose planes are up, does not hide that the NIC’s port goes down', async () => {
  const clock = new ManualClock();
  const host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
  applyChange(host, ['smi-add', 'mlx5_0', 'smi1']);
  const stop = new AbortController();
  const changed: string[][] = [];
  const watching = new PortWatch(host, POLL).run(stop.signal, (functions) => changed.push([...functions]));
  applyChange(host, ['port-down', 'mlx5_0']);
  for (let poll = 0; poll < MOST_POLLS; poll++) {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    clock.advance(POLL);
  }
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  stop.abort();
  await watching;
  expect(changed).toEqual([['0000:03:00.0']]);
});
