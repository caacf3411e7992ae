// A virtual host as those see it who are not root: files of mode 0600 are refused, and of configuration space the first 64 bytes are shown
// (drivers/pci/pci-sysfs.c, pci_read_config). The kernel makes uverbs nodes for everybody and those of fwctl for root alone.
import { withDoors } from '../host/with-doors.ts';
import type { Answer, Files, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { VirtualHost } from './host.ts';
import { errno } from './kernel/errno.ts';

const OTHERS_MAY_READ = 0o004;
const CONFIG_BYTES = 64;

export function unprivileged(host: VirtualHost): Host {
  const { sysfs } = host;
  const isForbidden = (path: string): boolean => {
    const file = host.sysfsTree.open(path);
    return !refused(file) && ((file.mode ?? 0o444) & OTHERS_MAY_READ) === 0;
  };
  const files: Files = {
    list: (path) => sysfs.list(path),
    link: (path) => sysfs.link(path),
    identity: (path) => sysfs.identity(path),
    real: (path) => sysfs.real(path),
    read: (path) => (isForbidden(path) ? errno('EACCES', path) : shown(path, sysfs.read(path))),
    readSlow: async (path, device) =>
      isForbidden(path) ? errno('EACCES', path) : shown(path, await sysfs.readSlow(path, device)),
  };
  return withDoors(host, {
    sysfs: files,
    openDevice: async (path, device) =>
      path.startsWith('/dev/fwctl/') ? errno('EACCES', path) : host.openDevice(path, device),
  });
}

function shown(path: string, bytes: Answer<Buffer>): Answer<Buffer> {
  return refused(bytes) || !path.endsWith('/config') ? bytes : bytes.subarray(0, CONFIG_BYTES);
}
