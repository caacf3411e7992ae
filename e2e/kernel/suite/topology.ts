// The virtual machine's PCI tree is the one of driver-core's fixture one-domain, and iommu groups in it follow ACS. Functions
// of QEMU stand where ConnectX and GPU will be: for groups and addresses it does not matter who plays them.

import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Machine, QemuDevice } from '../machine.ts';

interface DumpEntry {
  readonly realpath: string;
  readonly modalias: string;
}

const functions = ['nic0', 'nic1', 'dma0', 'gpu0', 'dma1', 'gpu1'];
const spareAddress = '0000:02:00.0';
/** Vendor and device. */
const ids = (modalias: string): string => modalias.slice('pci:'.length, 'pci:v000010DEd000022B1'.length);
const isBridge = (modalias: string): boolean => modalias.includes('bc06sc04');

/** For Machine.otherDevices. */
export const standIns: readonly QemuDevice[] = functions.map((id) => ({
  driver: 'virtio-rng-pci',
  bus: `${id}-port`,
  id,
}));

export function topology(machine: () => Machine): void {
  /** Modalias by path, of root ports and all below them. */
  const treeInSysfs = (): Promise<Record<string, string>> =>
    machine().run(({ fs }) => {
      const devices = '/sys/bus/pci/devices';
      const paths = fs.readdirSync(devices).map((address) => fs.realpathSync(`${devices}/${address}`));
      const all = paths.map((path) => [path, fs.readFileSync(`${path}/modalias`, 'utf8').trim()] as const);
      const onRootBus = /^\/sys\/devices\/pci0000:00\/[^/]+$/;
      return Object.fromEntries(
        all.filter(([path, modalias]) => !onRootBus.test(path) || modalias.includes('bc06sc04')),
      );
    }, []);

  const groupOf = (address: string): Promise<string> =>
    machine().shell(`realpath /sys/bus/pci/devices/${address}/iommu_group`);

  describe('tree', () => {
    test('functions are where the fixture has them, below bridges with the same ids', async () => {
      const fixture = JSON.parse(
        await readFile(new URL('../../../driver-core/fixtures/one-domain.json', import.meta.url), 'utf8'),
      ) as Record<string, DumpEntry>;
      const expected = Object.values(fixture).filter(({ modalias }) => modalias !== '');
      const found = await treeInSysfs();
      expect(Object.keys(found).toSorted()).toEqual(expected.map(({ realpath }) => realpath).toSorted());
      for (const { realpath, modalias } of expected.filter((entry) => isBridge(entry.modalias))) {
        expect([realpath, ids(found[realpath] ?? '')]).toEqual([realpath, ids(modalias)]);
      }
    });

    test('DMA function and GPU share an iommu group where ACS of their root port lets them', async () => {
      expect(await groupOf('0000:05:00.0')).toBe(await groupOf('0000:08:00.0'));
    });

    test('DMA function and GPU are apart as Linux sets ACS by itself', async () => {
      expect(await groupOf('0000:0b:00.0')).not.toBe(await groupOf('0000:0e:00.0'));
    });

    test('a NIC behind a root port is alone in its group', async () => {
      const members = await machine().shell('ls /sys/bus/pci/devices/0000:01:00.0/iommu_group/devices');
      expect(members.trim().split('\n').toSorted()).toEqual(['0000:01:00.0']);
    });

    test('a function that is taken out and put in again is announced by its driver leaving and coming', async () => {
      await machine().run(
        async ({ openLinuxHost, UeventListener, kept }, address) => {
          kept.listener = new UeventListener(await openLinuxHost(), ({ env }) => env['PCI_SLOT_NAME'] === address);
        },
        [spareAddress],
      );
      await machine().unplug('nic1');
      await machine().plug({ driver: 'virtio-rng-pci', bus: 'nic1-port', id: 'nic1' });
      const announced = await machine().run(async ({ kept }) => kept.listener?.take(4), []);
      expect(announced?.map(({ action }) => action)).toEqual(['unbind', 'remove', 'add', 'bind']);
    });
  });
}
