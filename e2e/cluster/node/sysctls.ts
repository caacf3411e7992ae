// Kernel settings that the kubelet changes for the whole machine (pkg/kubelet/cm/container_manager_linux.go,
// setupKernelTunables): read before, put back after.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const names = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
] as const;

const file = (name: string): string => join('/proc/sys', name);

export async function readSysctls(): Promise<Record<string, string>> {
  const values = names.map(async (name) => [name, (await readFile(file(name), 'utf8')).trim()] as const);
  return Object.fromEntries(await Promise.all(values));
}

/** Only what differs is written: some of them are read-only in some places. */
export async function restoreSysctls(before: Readonly<Record<string, string>>): Promise<void> {
  const now = await readSysctls();
  for (const [name, value] of Object.entries(before)) {
    if (now[name] !== value) await writeFile(file(name), value);
  }
}
