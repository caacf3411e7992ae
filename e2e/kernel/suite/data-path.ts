// Data through memory regions by RDMA WRITE and READ of a NIC to itself or to another (Debian's libibverbs and libmlx5), behind a translating IOMMU: each
// PCI function has a DMA domain of its own then, and the model counts the bytes that go through each.

import { describe, expect, test } from 'vitest';
import type { Faults } from '../cx8/nic/faults.ts';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

const length = 65_536;
const arrived = { status: 'success', data: 'arrived' };

type Kind = 'data direct' | 'ordinary';

export function dataPath(tray: () => TrayMachine): void {
  /** WRITE and READ by a region of this kind, and how many bytes went through which domain meanwhile. */
  const transfer = async (kind: Kind, near: 'nic0' | 'nic1', far = near) => {
    const before = (await tray().tray.report(near)).traffic;
    const outcomes = await tray().run(
      ({ Loopback }, from, to, size, wanted) =>
        Loopback.between(from, to, size, async (loopback) => {
          const regions = { 'data direct': await loopback.registerDataDirect(), ordinary: loopback.registerOrdinary() };
          return { write: await loopback.write(regions[wanted]), read: await loopback.read(regions[wanted]) };
        }),
      [ADDRESS[near], ADDRESS[far], length, kind] as const,
    );
    const after = (await tray().tray.report(near)).traffic;
    const moved = (domain: string) => ({
      read: (after[domain]?.read ?? 0) - (before[domain]?.read ?? 0),
      written: (after[domain]?.written ?? 0) - (before[domain]?.written ?? 0),
    });
    return { ...outcomes, moved };
  };

  /** By a data direct and an ordinary region, while the NIC has these faults. */
  const writeWith = async (faults: Faults) => {
    await tray().setFaults('nic0', faults);
    return tray().run(
      ({ Loopback }, nic, size) =>
        Loopback.on(nic, size, async (loopback) => ({
          dataDirect: await loopback.write(await loopback.registerDataDirect()),
          ordinary: await loopback.write(loopback.registerOrdinary()),
        })),
      [ADDRESS.nic0, length] as const,
    );
  };

  describe('data path', () => {
    test.each([
      ['nic0', 'dma0'],
      ['nic1', 'dma1'],
    ] as const)('data of a data direct region of %s go through the domain of %s', async (nic, dma) => {
      const { write, read, moved } = await transfer('data direct', nic);
      expect({ write, read }).toEqual({ write: arrived, read: arrived });
      expect(moved(dma)).toEqual({ read: length, written: length });
      // What was read went into the program's own memory, by an ordinary region.
      expect(moved(nic).written).toBe(length);
    });

    test('data of another NIC’s data direct region go through the domain of that NIC’s DMA function', async () => {
      const { write, read, moved } = await transfer('data direct', 'nic0', 'nic1');
      expect({ write, read }).toEqual({ write: arrived, read: arrived });
      expect(moved('dma1')).toEqual({ read: length, written: length });
      expect(moved('dma0')).toEqual({ read: 0, written: 0 });
    });

    test('data of an ordinary region of the same buffer go through the NIC’s domain', async () => {
      const { write, read, moved } = await transfer('ordinary', 'nic0');
      expect({ write, read }).toEqual({ write: arrived, read: arrived });
      expect(moved('dma0')).toEqual({ read: 0, written: 0 });
      expect(moved('nic0').written).toBe(2 * length);
    });

    test('a DMA function that leaves takes its regions with it: their keys reach nothing any more', async () => {
      const outcomes = await tray().run(
        ({ Loopback, drivers }, nic, dma, size) =>
          Loopback.on(nic, size, async (loopback) => {
            const region = await loopback.registerDataDirect();
            const before = await loopback.write(region);
            drivers.unbind(dma);
            const without = { write: await loopback.write(region), read: await loopback.read(region) };
            drivers.bind(dma);
            const back = await loopback.write(region);
            return { before, without, back, anew: await loopback.write(await loopback.registerDataDirect()) };
          }),
        [ADDRESS.nic0, ADDRESS.dma0, length] as const,
      );
      const refused = { status: 'remote access error', data: 'untouched' };
      expect(outcomes).toEqual({
        before: arrived,
        without: { write: refused, read: refused },
        back: refused,
        anew: arrived,
      });
    });

    // The control experiment: were it of no account through which domain the data go, exchanging the two would change nothing. Linux gives
    // each domain's addresses from 4 GiB downwards, so that under translation alone both may have the same ones, and an exchanged WRITE
    // would end well in somebody else's memory. The NIC's domain is therefore made one without translation for this case: its addresses
    // are those of the machine's memory, which ends below 1 GiB, and no address is in both.
    test('with the domains exchanged in the model no WRITE arrives', async () => {
      await setDomain('nic0', 'identity');
      try {
        const asItShouldBe = { dataDirect: arrived, ordinary: arrived };
        expect(await writeWith({})).toEqual(asItShouldBe);
        const refused = { status: 'remote operation error', data: 'untouched' };
        expect(await writeWith({ domainsExchanged: true })).toEqual({ dataDirect: refused, ordinary: refused });
        expect(await writeWith({})).toEqual(asItShouldBe);
        const log = await tray().tray.log();
        expect(log).toMatch(/0xf[0-9a-f]{7} is not mapped in the DMA domain of nic0/);
        expect(log).toMatch(/0x[0-9a-f]{1,8} is not mapped in the DMA domain of dma0/);
      } finally {
        await setDomain('nic0', 'auto');
      }
    });
  });

  /** The kind of the NIC's DMA domain, as Documentation/ABI/testing/sysfs-kernel-iommu_groups calls it; no driver may be bound meanwhile. */
  async function setDomain(nic: 'nic0', type: 'identity' | 'auto'): Promise<void> {
    await tray().run(
      ({ fs, drivers }, address, kind) => {
        drivers.unbind(address);
        fs.writeFileSync(`/sys/bus/pci/devices/${address}/iommu_group/type`, kind);
        return drivers.settle({ nics: [address], dmaFunctions: [] });
      },
      [ADDRESS[nic], type] as const,
    );
  }
}
