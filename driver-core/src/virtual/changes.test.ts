import { beforeEach, describe, expect, test } from 'vitest';

import { applyChange, CHANGES, partsOf } from './changes.ts';
import { createVirtualHost } from './host.ts';
import type { VirtualHost } from './host.ts';
import { loadFixture } from './load.ts';

const NIC = '0000:03:00.0';
const DMA = '0009:03:00.0';
const GPU = '0009:06:00.0';
const SWITCH = '0009:01:00.0';

let host: VirtualHost;
beforeEach(async () => {
  host = createVirtualHost(await loadFixture('gb300-tray'));
});

const part = (address: string) => partsOf(host).find((one) => one.address === address);
const change = (...words: string[]): void => applyChange(host, words);

describe('a change that cannot be made says what and where', () => {
  test.each<[string[], string]>([
    [[], 'change: change: expected unbind, bind, remove,'],
    [['explode', NIC], 'explode: change: expected unbind, bind, remove,'],
    [
      ['unbind'],
      'unbind: <address>: expected the PCI address of a function of this machine, or one of its RDMA devices, got nothing',
    ],
    [
      ['unbind', '0000:99:00.0'],
      'unbind: <address>: expected the PCI address of a function of this machine, or one of its RDMA devices, got 0000:99:00.0',
    ],
    [['unbind', NIC, DMA], 'unbind: arguments: expected 1 of them, got 0009:03:00.0'],
    [
      ['port-down', DMA],
      'port-down: <nic>: expected a NIC of this machine, by PCI address or RDMA device, got 0009:03:00.0',
    ],
    [
      ['port-down', 'mlx5_9'],
      'port-down: <nic>: expected a NIC of this machine, by PCI address or RDMA device, got mlx5_9',
    ],
    [['regroup', DMA, 'x'], 'regroup: <group>: expected an iommu group number, or none, got x'],
    [['acs', SWITCH, '0011101'], 'acs 0009:01:00.0: it has no ACS capability'],
    [['acs', '0009:02:00.0', '29'], 'acs: <bits>: expected seven bits such as 0011101, got 29'],
    [['refuse', NIC, 'close', 'EIO'], 'refuse: <call>: expected open or get-context or path'],
    [
      ['refuse', NIC, 'path', 'EWHAT'],
      'refuse: <errno>: expected an errno by name or number, such as EIO or 524, got EWHAT',
    ],
    [['refuse', NIC, 'path', '5000'], 'refuse: <errno>: expected an errno by name or number'],
    [['vpd-truncate', GPU, '10'], 'vpd-truncate 0009:06:00.0: it has no VPD'],
    [['vpd-set', DMA, 'RV', 'x'], 'vpd-set: <keyword>: expected a VPD keyword such as V3, got RV'],
    [['bind', DMA], 'bind 0009:03:00.0: the kernel answers EBUSY'],
    [['add', DMA], 'add 0009:03:00.0: it is on the bus'],
    [['smi-add', 'mlx5_4', 'smi1'], 'smi-add 0016:03:00.0: the kernel answers EOPNOTSUPP'],
    [['smi-add', 'mlx5_0', 'mlx5_1'], 'smi-add 0000:03:00.0: the kernel answers EEXIST'],
    [['smi-remove', 'mlx5_0'], 'smi-remove: <name>: expected an RDMA device of type SMI, got mlx5_0'],
    [['rdma-namespaces', 'on'], 'rdma-namespaces: <mode>: expected shared or exclusive, got on'],
  ])('%j', (words, message) => {
    expect(() => change(...words)).toThrow(message);
  });

  test('and changes nothing', () => {
    const before = partsOf(host);
    expect(() => change('unbind', NIC, DMA)).toThrow('unbind');
    expect(partsOf(host)).toEqual(before);
  });
});

test('every change can be undone: after all of them the machine is as before', () => {
  const before = partsOf(host);
  const pairs: string[][] = [
    ['unbind', DMA],
    ['bind', DMA],
    ['remove', GPU],
    ['add', GPU],
    ['port-down', 'mlx5_0'],
    ['port-up', 'mlx5_0'],
    ['regroup', DMA, '99'],
    ['regroup', DMA, '30'],
    ['acs', '0009:02:00.0', '0011101'],
    ['acs', '0009:02:00.0', '0011001'],
    ['vpd-truncate', DMA, '20'],
    ['vpd-set', DMA, 'V3', 'ff'],
    ['vpd-unreadable', DMA],
    ['vpd-restore', DMA],
    ['vuid', NIC, 'none'],
    ['vuid', NIC, 'VT2547VIRT001MLNXDATADIRECT0'],
    ['capability', NIC, 'crossing_vhca_mkey', 'off'],
    ['capability', NIC, 'crossing_vhca_mkey', 'on'],
    ['firmware-refuse', NIC, 'query_vuid', '0x02'],
    ['firmware-refuse', NIC, 'query_vuid', 'good'],
    ['rxe-add', 'rxe0'],
    ['rxe-remove', 'rxe0'],
    ['smi-add', 'mlx5_0', 'smi1'],
    ['smi-remove', 'smi1'],
    ['rdma-limit', '0'],
    ['rdma-limit', 'none'],
    ['hide-uverbs', NIC],
    ['show-uverbs', NIC],
    ['refuse', NIC, 'open', '524'],
    ['allow', NIC],
    ['wedge', NIC],
    ['unwedge', NIC],
    ['rdma-namespaces', 'exclusive'],
    ['rdma-namespaces', 'shared'],
  ];
  const tree = JSON.stringify(dump());
  for (const words of pairs) change(...words);
  expect(partsOf(host)).toEqual(before);
  expect(JSON.stringify(dump())).toBe(tree);
  expect(new Set(pairs.map(([name]) => name))).toEqual(new Set(CHANGES.map((each) => each.name)));
});

/** Every file, link and directory of the tree. */
function dump(directory = ''): unknown[] {
  const names = host.sysfs.list(directory) as string[];
  return names.map((name) => {
    const path = directory === '' ? name : `${directory}/${name}`;
    const link = host.sysfs.link(path);
    if (typeof link === 'string') return [path, link];
    return Array.isArray(host.sysfs.list(path)) ? [path, dump(path)] : [path, host.sysfs.read(path)];
  });
}

test('an SF goes with its PF, and comes back when it is made again', async () => {
  host = createVirtualHost(await loadFixture('sub-functions'));
  const sf = `${NIC}/sf88`;
  const auxiliary = host.sysfs.list('bus/auxiliary/devices');
  change('remove', NIC);
  expect(part(sf)?.present).toBe(false);
  expect(() => change('add', sf)).toThrow(`add ${sf}: its PF ${NIC} has no driver`);
  change('add', NIC);
  expect([part(NIC)?.driver, part(sf)?.present]).toEqual(['mlx5_core', false]);
  change('add', sf);
  change('add', `${NIC}/sf89`);
  expect(part(sf)).toMatchObject({ driver: 'mlx5_core.sf', present: true });
  expect(host.sysfs.list('bus/auxiliary/devices')).toEqual(auxiliary);
});

test('a DMA function whose VPD lost its VU is not bound again until the VPD is whole', () => {
  change('unbind', DMA);
  change('vpd-truncate', DMA, '60');
  expect(() => change('bind', DMA)).toThrow(/the kernel answers ENOENT \(VPD keyword VU\)/);
  change('vpd-unreadable', DMA);
  expect(() => change('bind', DMA)).toThrow(/EIO/);
  change('vpd-restore', DMA);
  change('bind', DMA);
  expect(part(DMA)?.driver).toBe('mlx5_ib');
});

test('a whole switch can be taken away and put back, leaves first and root first', () => {
  change('remove', SWITCH);
  expect(part(DMA)).toMatchObject({ present: false, driver: undefined });
  expect(part(GPU)?.present).toBe(false);
  expect(() => change('add', DMA)).toThrow(/its parent 0009:02:00.0 is not on the bus/);
  change('add', SWITCH);
  expect(part(DMA)).toMatchObject({ present: true, driver: 'mlx5_ib' });
});

test('NICs that come back in another order swap their names, as without udev rules', () => {
  change('unbind', 'mlx5_0');
  change('unbind', 'mlx5_1');
  change('bind', '0002:03:00.0');
  change('bind', NIC);
  expect(part('0002:03:00.0')?.rdmaDevice).toBe('mlx5_0');
  expect(part(NIC)?.rdmaDevice).toBe('mlx5_1');
});

test('the name that a NIC had still finds it while it has no driver', () => {
  change('unbind', 'mlx5_2');
  expect(part('0010:03:00.0')).toMatchObject({ driver: undefined, rdmaDevice: undefined });
  change('bind', 'mlx5_2');
  expect(part('0010:03:00.0')?.rdmaDevice).toBe('mlx5_2');
});
