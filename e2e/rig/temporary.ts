// A directory that is gone when this process is. What a killed process left is removed by the next that wants one.

import { rmSync } from 'node:fs';
import { access, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory {
  readonly path: string;
  remove(): Promise<void>;
}

/** Short enough for a unix socket in it (108 bytes, sun_path of unix(7)). */
export async function temporaryDirectory(prefix: string): Promise<TemporaryDirectory> {
  await removeLeftovers(prefix);
  const path = await mkdtemp(join(tmpdir(), `${prefix}-${process.pid}-`));
  const removeNow = (): void => rmSync(path, { recursive: true, force: true });
  process.on('exit', removeNow);
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true });
      process.off('exit', removeNow);
    },
  };
}

async function removeLeftovers(prefix: string): Promise<void> {
  const ours = new RegExp(`^${prefix}-(\\d+)-`);
  for (const name of await readdir(tmpdir())) {
    const owner = ours.exec(name)?.[1];
    if (owner !== undefined && !(await isRunning(owner)))
      await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Another process may have the id by now: then the directory waits for a later time. */
function isRunning(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}
