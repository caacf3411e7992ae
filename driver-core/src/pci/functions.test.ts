import { describe, expect, it } from 'vitest';

import type { Files } from '../host/host.ts';
import { Errno } from '../host/host.ts';
import type { Malformed } from '../host/malformed.ts';
import { applyChange } from '../virtual/changes.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import { isPciAddress } from './address.ts';
import { ClassDevices } from './class-devices.ts';
import { devicesOf, listFunctions, readAttachment, readVirtuality } from './functions.ts';
import { mayHaveDataDirect, modelName } from './ids.ts';

async function tray() {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  const find = (address: string) => {
    const fn = listFunctions(host.sysfs).find((other) => other.address === address);
    if (!fn) throw new Error(`no ${address}`);
    return fn;
  };
  return { host, find };
}

/** The same files with some of them gone, as while a function is being removed. */
function lacking(sysfs: Files, gone: (path: string) => boolean): Files {
  const unless = <T>(path: string, answer: () => T): T | Errno =>
    gone(path) ? new Errno('ENOENT', 2, path) : answer();
  return {
    list: (path) => unless(path, () => sysfs.list(path)),
    link: (path) => unless(path, () => sysfs.link(path)),
    identity: (path) => unless(path, () => sysfs.identity(path)),
    real: (path) => unless(path, () => sysfs.real(path)),
    read: (path) => unless(path, () => sysfs.read(path)),
    readSlow: async (path, device) => unless(path, () => sysfs.readSlow(path, device)),
  };
}

describe('PCI functions in sysfs', () => {
  it('are told apart by vendor, device and class', async () => {
    const { find } = await tray();
    expect(
      ['0000:03:00.0', '0009:03:00.0', '0009:06:00.0', '0009:00:00.0'].map((address) => find(address).kind),
    ).toEqual(['nic', 'dma', 'gpu', 'bridge']);
    expect(find('0009:03:00.0')).toMatchObject({ vendor: 0x15b3, device: 0x2100, class: 0x080100 });
  });

  it('show drivers, groups and devices of a NIC', async () => {
    const { host, find } = await tray();
    const nic = find('0000:03:00.0');
    const devices = devicesOf(nic, new ClassDevices(host.sysfs));
    expect({ ...readAttachment(host.sysfs, nic), ...readVirtuality(host.sysfs, nic), ...devices }).toMatchObject({
      function: 'PF',
      driver: 'mlx5_core',
      rdmaDevice: 'mlx5_0',
      uverbs: 'uverbs0',
      umad: ['umad0'],
    });
  });

  it('have no driver once they are unbound', async () => {
    const { host, find } = await tray();
    applyChange(host, ['unbind', '0009:03:00.0']);
    expect(readAttachment(host.sysfs, find('0009:03:00.0')).driver).toBeUndefined();
  });

  it('that vanish while they are read are left out, and the others are not', async () => {
    const { host } = await tray();
    const all = listFunctions(host.sysfs);
    for (const part of ['bus/pci/devices/0009:03:00.0', '0009:03:00.0/modalias']) {
      const rest = listFunctions(lacking(host.sysfs, (path) => path.endsWith(part)));
      expect(rest).toEqual(all.filter(({ address }) => address !== '0009:03:00.0'));
    }
  });

  it.each([
    ['pci:v000015B3d00002100sv000015b3', 30],
    ['pci:v000015B3', 13],
    ['', 0],
    ['\u00ff\u00ff\u00ff', 0],
  ])('whose modalias is %j are left out, and where it departs from the form is told', async (modalias, offset) => {
    const { host } = await tray();
    const told: Malformed[] = [];
    const sysfs: Files = {
      ...host.sysfs,
      read: (path) =>
        path.endsWith('0009:03:00.0/modalias') ? Buffer.from(`${modalias}\n`, 'latin1') : host.sysfs.read(path),
    };
    const seen = listFunctions(sysfs, undefined, (each) => told.push(each));
    expect(seen.map(({ address }) => address)).not.toContain('0009:03:00.0');
    expect(seen).toHaveLength(listFunctions(host.sysfs).length - 1);
    expect(told).toMatchObject([{ offset, found: JSON.stringify(modalias) }]);
    expect(told[0]?.file).toMatch(/^\/sys\/devices\/.*\/0009:03:00\.0\/modalias$/);
  });

  it('that are there and cannot be read are left out and told of, unlike those that have just gone', async () => {
    const { host } = await tray();
    const told: Malformed[] = [];
    const refusing = (errno: Errno): Files => ({
      ...host.sysfs,
      read: (path) => (path.endsWith('0009:03:00.0/modalias') ? errno : host.sysfs.read(path)),
    });
    for (const errno of [new Errno('ENODEV', 19, ''), new Errno('EACCES', 13, '')])
      listFunctions(refusing(errno), undefined, (each) => told.push(each));
    expect(told.map(({ found }) => found)).toEqual(['EACCES (13)']);
  });

  it.each(['', '0x1', 'zero'])('whose numa_node is %j have none, and it is told', async (text) => {
    const { host, find } = await tray();
    const told: Malformed[] = [];
    const sysfs: Files = {
      ...host.sysfs,
      read: (path) => (path.endsWith('numa_node') ? Buffer.from(`${text}\n`) : host.sysfs.read(path)),
    };
    expect(readAttachment(sysfs, find('0000:03:00.0'), (each) => told.push(each)).numaNode).toBeUndefined();
    expect(told).toMatchObject([{ offset: 0, found: JSON.stringify(text) }]);
  });

  it('are none on a machine without PCI', async () => {
    const { host } = await tray();
    expect(listFunctions(lacking(host.sysfs, () => true))).toEqual([]);
  });

  it('without NUMA node (-1) have none', async () => {
    const { host, find } = await tray();
    const sysfs: Files = {
      ...host.sysfs,
      read: (path) => (path.endsWith('numa_node') ? Buffer.from('-1\n') : host.sysfs.read(path)),
    };
    expect(readAttachment(sysfs, find('0000:03:00.0')).numaNode).toBeUndefined();
  });
});

describe('a NIC’s model', () => {
  it('tells whether it can have a DMA function; one that is not known yet may', () => {
    expect([0x1021, 0x1023, 0xa2dc].map(modelName)).toEqual(['ConnectX-7', 'ConnectX-8', 'BlueField-3']);
    expect(['ConnectX-7', 'ConnectX-8', 'BlueField-3', undefined].map(mayHaveDataDirect)).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });
});

describe('a PCI address', () => {
  it.each(['0000:03:00.0', '10000:e1:1f.7'])('%s is one', (text) => {
    expect(isPciAddress(text)).toBe(true);
  });

  it.each(['03:00.0', '0000:03:00.8', '0000:03:20.0', '0000:03:00.0/..', 'pci0000:00'])('%s is none', (text) => {
    expect(isPciAddress(text)).toBe(false);
  });
});
