// Programs that a rig needs of the machine itself, installed from Debian where they are missing. What is only to be
// unpacked comes from debian-archive.ts.

import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { machineAptGet } from '../../scripts/image/apt.ts';
import { reported, type Report } from './progress.ts';
import { run } from './run.ts';

export interface Need {
  /** A command looked up on PATH, or an absolute path. */
  readonly file: string;
  readonly package: string;
}

/** apt on a machine that others use too can wait for dpkg's lock. */
const aptTimeoutMs = 600_000;

/** Each package is installed only where the file that is needed from it is missing. */
export async function ensureInstalled(needs: readonly Need[], report: Report, signal?: AbortSignal): Promise<void> {
  const found = await Promise.all(needs.map(({ file }) => isPresent(file)));
  const missing = needs.filter((_, index) => !found[index]).map((need) => need.package);
  if (missing.length === 0) return;
  await reported(report, `installing ${missing.join(', ')} from Debian`, async () => {
    await aptGet(['update'], signal);
    await aptGet(['install', '--yes', '--no-install-recommends', ...missing], signal);
  });
}

/** The unpacked content of a package of the machine's own release. */
export async function unpackPackage(name: string, directory: string, signal?: AbortSignal): Promise<void> {
  const download = (): Promise<unknown> =>
    run('apt-get', ['download', name], { cwd: directory, timeoutMs: aptTimeoutMs, signal });
  // A fresh machine has no package lists yet, an old one has lists that name files which are gone.
  await download().catch(() => aptGet(['update'], signal).then(download));
  await run('sh', ['-c', 'dpkg-deb --extract ./*.deb .'], { cwd: directory, signal });
}

async function aptGet(args: readonly string[], signal?: AbortSignal): Promise<void> {
  await run(...machineAptGet('--quiet', '--option', 'DPkg::Lock::Timeout=120', ...args), {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    timeoutMs: aptTimeoutMs,
    signal,
  });
}

async function isPresent(file: string): Promise<boolean> {
  const places = file.startsWith('/') ? [file] : (process.env['PATH'] ?? '').split(delimiter).map((p) => join(p, file));
  const looks = await Promise.allSettled(places.map((place) => access(place)));
  return looks.some((look) => look.status === 'fulfilled');
}
