// A host some of whose doors are others: what is counted, refused or lied about stands before the rest.
import type { Host } from './host.ts';

export function withDoors(host: Host, doors: Partial<Host>): Host {
  const { sysfs, proc, clock, pageSize, kernelRelease } = host;
  return {
    sysfs,
    proc,
    clock,
    pageSize,
    kernelRelease,
    openDevice: (path, device) => host.openDevice(path, device),
    uevents: (signal) => host.uevents(signal),
    dmabuf: (bytes) => host.dmabuf(bytes),
    close: () => host.close(),
    ...doors,
  };
}
