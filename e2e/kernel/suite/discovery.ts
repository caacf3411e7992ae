// Which DMA function the kernel pairs with a NIC, as its ioctl says it.

import { beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

const path = '/devices/pci0000:00/0000:00:03.0/0000:03:00.0/0000:04:00.0/0000:05:00.0';
const expected: Readonly<Record<string, string>> = {
  'without a context': 'EINVAL',
  'with a context': path,
  'into a buffer of five bytes': 'ENOSPC',
  'after its DMA function lost the driver': 'ENODEV',
  'after its DMA function has the driver again': path,
};

export function discovery(tray: () => TrayMachine): void {
  describe('path of the DMA function', () => {
    let answers: Readonly<Record<string, string>> = {};

    beforeAll(async () => {
      answers = await tray().run(
        async ({ openLinuxHost, askDiscovery }, nic, dma) => askDiscovery(await openLinuxHost(), nic, dma),
        [ADDRESS.nic0, ADDRESS.dma0] as const,
      );
    });

    test.each(Object.entries(expected))('%s', (name, answer) => {
      expect(answers[name]).toBe(answer);
    });
  });
}
