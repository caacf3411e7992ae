import { type Fixture, loadFixture } from '@data-direct/driver-core';
import { describe, expect, it } from 'vitest';
import { readOnlyKeyword } from '../../../driver-core/src/virtual/vpd.ts';
import { trayOfFixture } from './fixture-tray.ts';
import { readTraySpec } from './tray-spec.ts';

const image = (vpd: string): Buffer => Buffer.from(vpd, 'base64');

/** one-domain with something changed in all functions of a device id. */
const without = async (device: string, change: (one: Fixture['functions'][number]) => object) => {
  const fixture = await loadFixture('one-domain');
  const functions = fixture.functions.map((one) =>
    one.modalias.includes(`v000015B3d0000${device}`) ? { ...one, ...change(one) } : one,
  );
  return () => trayOfFixture({ ...fixture, functions });
};

describe('the tray of a fixture', () => {
  it.each(['one-domain', 'gb300-tray', 'dgx-station'])('%s is one that can be served', async (name) => {
    const tray = trayOfFixture(await loadFixture(name));
    expect(readTraySpec(JSON.parse(JSON.stringify(tray)))).toEqual(tray);
    expect(tray.nics.length).toBeGreaterThan(0);
  });

  it('pairs each NIC with the DMA function of its adapter, whose VUID its firmware answers', async () => {
    const { nics, dmaFunctions } = trayOfFixture(await loadFixture('one-domain'));
    expect(nics.map(({ dmaFunction }) => dmaFunction)).toEqual(['dma0', 'dma1']);
    for (const { vpd, vuid, dmaFunction } of nics) {
      const own = image(dmaFunctions.find(({ name }) => name === dmaFunction)?.vpd ?? '');
      expect(readOnlyKeyword(own, 'V3')).toBe(readOnlyKeyword(image(vpd), 'V3'));
      expect(readOnlyKeyword(own, 'VU')).toBe(vuid);
    }
  });

  it('has a GPU for each GPU, and a LID of its own for each NIC', async () => {
    const { nics, gpus } = trayOfFixture(await loadFixture('one-domain'));
    expect(gpus).toEqual([{ name: 'gpu0' }, { name: 'gpu1' }]);
    expect(nics.map(({ lid }) => lid)).toEqual([7, 8]);
  });

  it('is refused by place where a DMA function has no VPD', async () => {
    expect(await without('2100', () => ({ vpd: undefined }))).toThrow(
      expect.objectContaining({ code: 'TRAY_INVALID', message: expect.stringMatching(/one-domain, 0000:0[15]:00\.0/) }),
    );
  });

  it('is refused by place where a NIC has no serial number', async () => {
    const fixture = await loadFixture('dual-port');
    expect(() => trayOfFixture(fixture)).toThrow('tray: dual-port, 0000:03:00.2: has no keyword V3 in its VPD');
  });

  it('is refused by place where a NIC belongs to no DMA function', async () => {
    const foreign = Buffer.from('\x82\x01\0x\x90\x06\0V3\x03abc\x78', 'latin1');
    expect(await without('1023', () => ({ vpd: foreign }))).toThrow('has no DMA function with its V3');
  });
});
