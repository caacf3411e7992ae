// Which DMA function the kernel pairs with a NIC, as its ioctl says it.

import { describe, expect, test } from 'vitest';
import { ADDRESS, type TrayMachine } from '../tray-machine.ts';

export function discovery(tray: () => TrayMachine): void {
  describe('discovery', () => {
    test('the kernel names the DMA function by its path in sysfs', async () => {
      const path = await tray().run(
        async ({ openLinuxHost, drivers, must, verbs }, nic) => {
          const context = must(await verbs.Context.open(await openLinuxHost(), drivers.uverbsOf(nic) ?? '', nic));
          return context.dataDirectSysfsPath();
        },
        [ADDRESS.nic0],
      );
      expect(path).toBe('/devices/pci0000:00/0000:00:03.0/0000:03:00.0/0000:04:00.0/0000:05:00.0');
    });
  });
}
