// The first file system of the guest: busybox, the modules without which it cannot mount the host's folders, and init.sh.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpio, type CpioEntry } from './cpio.ts';

/** For the root file system; what these need is added. */
const rootModules = ['9p', '9pnet_virtio'];
const directories = ['bin', 'dev', 'modules', 'proc', 'root', 'sys'];
const initScript = new URL('../guest/init.sh', import.meta.url);

/** `modules` is the directory that holds modules.dep. */
export async function makeInitramfs(busybox: string, modules: string): Promise<Buffer> {
  const order = filesToLoad(await readFile(join(modules, 'modules.dep'), 'utf8'), rootModules);
  return cpio([
    ...directories.map((path): CpioEntry => ({ kind: 'directory', path })),
    { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
    await copied('init', initScript, true),
    await copied('bin/busybox', busybox, true),
    ...(await Promise.all(order.map((name) => copied(`modules/${name}`, join(modules, name))))),
    { kind: 'file', path: 'modules/order', content: Buffer.from(`${order.join('\n')}\n`) },
  ]);
}

/** Files of these modules and of all they need, each after what it depends on, as modules.dep is ordered. */
function filesToLoad(modulesDep: string, wanted: readonly string[]): string[] {
  const lines = modulesDep
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/: ?/));
  const needed = new Set(
    lines
      .filter(([file]) => wanted.some((name) => file === `${name}.ko`))
      .flatMap(([file = '', below = '']) => [file, ...below.split(' ')]),
  );
  return lines.map(([file = '']) => file).filter((file) => needed.has(file));
}

async function copied(path: string, from: string | URL, executable = false): Promise<CpioEntry> {
  return { kind: 'file', path, content: await readFile(from), executable };
}
