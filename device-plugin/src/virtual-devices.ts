// Device nodes for a virtual tray, so that containers can be given something. They are nodes of /dev/null: no hardware is behind them.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import koffi from 'koffi';

import { AgentError } from './errors.ts';

/** S_IFCHR | 0666 (include/uapi/linux/stat.h); makedev(1, 3) is /dev/null (Documentation/admin-guide/devices.txt). */
const MODE = 0o020666;
const NULL_DEVICE = (1 << 8) | 3;

const ERRNO_NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** Makes `<directory>/infiniband/<name>` for each name, in place of what a killed agent left. Throws VIRTUAL_DEVICE_NOT_MADE. */
export function makeVirtualDevices(directory: string, names: readonly string[]): void {
  const mknod = koffi.load(null).func('int mknod(const char *path, unsigned int mode, uint64_t dev)');
  removeVirtualDevices(directory);
  mkdirSync(join(directory, 'infiniband'), { recursive: true, mode: 0o755 });
  for (const name of names) {
    const path = join(directory, 'infiniband', name);
    if (mknod(path, MODE, NULL_DEVICE) !== 0) throw notMade(path, koffi.errno());
    chmodSync(path, 0o666); // past the umask: a container's node gets the mode of the one on the host
  }
}

function notMade(path: string, number: number): AgentError {
  const errno = ERRNO_NAMES.get(number) ?? `errno ${number}`;
  return new AgentError(
    'VIRTUAL_DEVICE_NOT_MADE',
    `cannot make device node ${path}: ${errno}; the agent of a virtual host needs CAP_MKNOD`,
    { path, errno },
  );
}

/** Takes the nodes away, and the directory where nothing else is in it. */
export function removeVirtualDevices(directory: string): void {
  rmSync(join(directory, 'infiniband'), { recursive: true, force: true });
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}
