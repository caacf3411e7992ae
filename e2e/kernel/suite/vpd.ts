// The VPD of a DMA function: driver-core reads the same out of it as the kernel. The kernel's own reading shows in whether mlx5_ib takes the
// function (it has a VUID) and whether a NIC is paired with it (it is this VUID).

import { beforeAll, describe, expect, test } from 'vitest';
import { encodeVpd } from '../../../driver-core/src/virtual/vpd.ts';
import type { VpdAnswers } from '../guest/ask-vpd.ts';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

const { nic0, dma0 } = ADDRESS;

const image = (keywords: Readonly<Record<string, string>>): Buffer => encodeVpd('ConnectX-8 DMA function', keywords);
const changed = (bytes: Buffer, change: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
};
/** Keyword V? becomes a second VU. */
const twice = (bytes: Buffer): Buffer => changed(bytes, (copy) => copy.write('VU', copy.indexOf('V?'), 'latin1'));

/** Images out of the NIC's VUID; what the kernel makes of each: the right VUID, another one, or none. */
const images: Readonly<Record<string, { make: (vuid: string) => Buffer; vuid: 'this' | 'another' | 'none' }>> = {
  'the VUID alone': { make: (vuid) => image({ VU: vuid }), vuid: 'this' },
  'the VUID behind others': { make: (vuid) => image({ SN: 'MT25', V3: 'x', VU: vuid }), vuid: 'this' },
  'the VUID in lower case': { make: (vuid) => image({ VU: vuid.toLowerCase() }), vuid: 'another' },
  'a blank behind the VUID': { make: (vuid) => image({ VU: `${vuid} ` }), vuid: 'another' },
  'a NUL behind the VUID': { make: (vuid) => image({ VU: `${vuid}\0more` }), vuid: 'this' },
  'another VUID first': { make: (vuid) => twice(image({ 'V?': 'another', VU: vuid })), vuid: 'another' },
  'another VUID last': { make: (vuid) => twice(image({ VU: vuid, 'V?': 'another' })), vuid: 'this' },
  'an empty VUID': { make: () => image({ VU: '' }), vuid: 'another' },
  'no VUID': { make: () => image({ SN: 'MT25' }), vuid: 'none' },
  'a wrong checksum': {
    make: (vuid) => changed(image({ VU: vuid }), (copy) => (copy[copy.length - 2] = (copy.at(-2) ?? 0) ^ 1)),
    vuid: 'this',
  },
  'a VUID longer than its section': {
    make: (vuid) => changed(image({ SN: 'MT25', VU: vuid }), (copy) => (copy[copy.indexOf('VU') + 2] = 0xff)),
    vuid: 'none',
  },
  'all ones': { make: () => Buffer.alloc(256, 0xff), vuid: 'none' },
  'all zeros': { make: () => Buffer.alloc(256), vuid: 'none' },
};

export function vpdOfDmaFunction(tray: () => TrayMachine): void {
  describe('VPD of a DMA function', () => {
    test('comes as the device has it', async () => {
      const bytes = await tray().run(
        async ({ openLinuxHost }, dma) => (await openLinuxHost()).sysfs.readSlow(`bus/pci/devices/${dma}/vpd`, dma),
        [dma0],
      );
      expect(bytes).toEqual(tray().vpd('dma0'));
    });

    describe('with', () => {
      const answers = new Map<string, unknown>();

      beforeAll(async () => {
        for (const [name, { make }] of Object.entries(images)) {
          answers.set(name, await ask(tray(), make).catch((error: Error) => error.message));
        }
      }, 120_000);

      test.each(Object.entries(images))('%s is read as the kernel reads it', (name, { vuid }) => {
        expect(answers.get(name)).toEqual({
          driver: vuid === 'none' ? undefined : 'mlx5_ib',
          kernelPairs: vuid === 'this',
          hasVuid: vuid !== 'none',
          hasThisVuid: vuid === 'this',
        });
      });
    });
  });
}

async function ask(tray: TrayMachine, make: (vuid: string) => Buffer): Promise<VpdAnswers> {
  const own = tray.vuid('nic0');
  await tray.setVpd('dma0', make(own));
  return tray.run(
    async ({ openLinuxHost, askVpd, drivers }, nic, dma, vuid) => {
      drivers.remove(dma);
      drivers.rescan();
      return askVpd(await openLinuxHost(), nic, dma, vuid);
    },
    [nic0, dma0, own] as const,
  );
}
