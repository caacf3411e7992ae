// driver-core's host that remembers which devices a case has open, so that a case that fails leaves none behind: an open one keeps the
// modules loaded.

import type { Device, Host } from '../../../driver-core/src/host/host.ts';
import { refused } from '../../../driver-core/src/host/host.ts';
import { type LinuxHostOptions, openLinuxHost } from '../../../driver-core/src/host/linux.ts';

const left = new Set<Device>();

export async function openTrackedHost(options?: LinuxHostOptions): Promise<Host> {
  const host = await openLinuxHost(options);
  const openDevice = host.openDevice.bind(host);
  return Object.assign(host, {
    async openDevice(path: string, address: string) {
      const device = await openDevice(path, address);
      if (refused(device)) return device;
      const tracked: Device = {
        ioctl: (request, bytes, pointers) => device.ioctl(request, bytes, pointers),
        close: async () => {
          if (left.delete(tracked)) await device.close();
        },
      };
      left.add(tracked);
      return tracked;
    },
  });
}

export async function closeLeftDevices(): Promise<void> {
  for (const device of left) await device.close();
}
