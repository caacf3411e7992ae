// What the agent looks at: this node's hardware, or a virtual tray with device nodes of its own and a socket to break it by.
import {
  createVirtualHost,
  type Host,
  loadFixture,
  openLinuxHost,
  refused,
  serveControl,
} from '@data-direct/driver-core';

import type { Config, VirtualHostConfig } from './config.ts';
import { makeVirtualDevices, removeVirtualDevices } from './virtual-devices.ts';

export interface Machine {
  readonly host: Host;
  /** Where the container runtime finds the node's devices. */
  readonly deviceDir: string;
  /** Takes away what was made. */
  close(): Promise<void>;
}

export async function openMachine({ virtualHost, hostRoots }: Config): Promise<Machine> {
  if (virtualHost) return openVirtual(virtualHost);
  const { sysfs, proc, dev } = hostRoots;
  const host = await openLinuxHost({ sysfsRoot: sysfs, procRoot: proc, devRoot: dev });
  // The node's own /dev, not hostRoots.dev: the container runtime does not see the agent's mounts.
  return { host, deviceDir: '/dev', close: () => host.close() };
}

async function openVirtual({ fixture, deviceDir, controlSocket }: VirtualHostConfig): Promise<Machine> {
  const host = createVirtualHost(await loadFixture(fixture));
  makeVirtualDevices(deviceDir, deviceNames(host));
  const control = await serveControl(host, controlSocket);
  return {
    host,
    deviceDir,
    close: async () => {
      await control.close();
      removeVirtualDevices(deviceDir);
      await host.close();
    },
  };
}

/** Every node under /dev/infiniband that a container may be given. */
function deviceNames({ sysfs }: Host): string[] {
  const classes = ['class/infiniband_verbs', 'class/infiniband_mad'].map((path) => sysfs.list(path));
  const names = classes.flatMap((listed) => (refused(listed) ? [] : listed));
  return [...names.filter((name) => /^(uverbs|umad)\d+$/.test(name)), 'rdma_cm'];
}
