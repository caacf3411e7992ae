// A pod of a real kubelet and a real runtime, on a node whose uverbs nodes are those of stock mlx5 drivers on virtual ConnectX-8 adapters.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ADDRESS } from '../../kernel/tray-machine.ts';
import { GuestNode } from '../guest-node.ts';

const verify =
  'ls /dev/infiniband; echo --; env; echo --; LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu /guest/bin/node /app/data-direct.mjs verify';

let node: GuestNode;
let devices: readonly string[];
let env: string;
let verified: string;

beforeAll(async () => {
  node = await GuestNode.start();
});
afterAll(async () => {
  await node?.end();
});

test('the agent pairs the NIC by the kernel’s word', async () => {
  await expect(node.judged(ADDRESS.nic0, 'Paired')).resolves.toBeUndefined();
});

test('a pod that asks for one path runs, and has one uverbs node', async () => {
  const printed = await node.runPod('prober', 1, verify);
  console.log(printed);
  const [listed = '', variables = '', said = ''] = printed.split('--\n');
  [devices, env, verified] = [listed.trim().split('\n'), variables, said];
  expect(devices).toEqual([expect.stringMatching(/^uverbs\d$/)]);
});

test('it opens that node under the runtime’s device cgroup, and the kernel names the DMA function of its NIC', () => {
  const id = /^PCIDEVICE_DATADIRECT_DEV_PATH=(.*)$/m.exec(env)?.[1];
  const dma = id === ADDRESS.nic0 ? ADDRESS.dma0 : ADDRESS.dma1;
  const own = sectionOf(id ?? '');
  expect(own).toMatch(new RegExp(`OK +context +/dev/infiniband/${devices[0]} is open`));
  expect(own).toMatch(new RegExp(`OK +pairing +the kernel names /devices/.*/${dma}\n`));
  expect(own).toMatch(/OK +probe +a registration gets as far as the DMA function/);
});

test('of other NICs it has nothing', () => {
  const id = /^PCIDEVICE_DATADIRECT_DEV_PATH=(.*)$/m.exec(env)?.[1];
  const others = [ADDRESS.nic0, ADDRESS.nic1, ADDRESS.vf0].filter((address) => address !== id);
  for (const other of others) expect(sectionOf(other)).toMatch(/FAIL +context +ENOENT/);
});

test('the agent learns from the kernel’s own events that the DMA function has lost its driver, and that it has one again', async () => {
  await node.tray.run(({ drivers }, dma) => drivers.unbind(dma), [ADDRESS.dma0]);
  await node.judged(ADDRESS.nic0, 'DmaDriverNotBound');
  await node.tray.run(({ drivers }, dma) => drivers.bind(dma), [ADDRESS.dma0]);
  await expect(node.judged(ADDRESS.nic0, 'Paired')).resolves.toBeUndefined();
});

/** What the tool says of one NIC. */
function sectionOf(address: string): string {
  return verified.split(/^(?=mlx5_)/m).find((section) => section.includes(`(${address})`)) ?? '';
}
