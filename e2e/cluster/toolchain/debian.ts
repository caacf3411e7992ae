// What the rig takes from Debian. Each package is installed only where the file that is needed from it is missing.

import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from '../../rig/run.ts';
import { reported, type Report } from '../../rig/progress.ts';

interface Need {
  /** A command looked up on PATH, or an absolute path. */
  readonly file: string;
  readonly package: string;
}

/** runc comes from Debian because a runc built by `go build` has no seccomp, and every pod asks for it. */
const needs: readonly Need[] = [
  { file: 'runc', package: 'runc' },
  { file: '/usr/lib/cni/bridge', package: 'containernetworking-plugins' },
  { file: 'ip', package: 'iproute2' },
  { file: 'nft', package: 'nftables' },
  { file: 'openssl', package: 'openssl' },
  { file: 'unzip', package: 'unzip' },
  { file: 'nsenter', package: 'util-linux' },
  { file: 'mount', package: 'mount' },
];

/** apt on a machine that others use too can wait for dpkg's lock. */
const aptTimeoutMs = 300_000;

export async function ensureDebianPackages(report: Report, signal?: AbortSignal): Promise<void> {
  const found = await Promise.all(needs.map(({ file }) => isPresent(file)));
  const missing = needs.filter((_, index) => !found[index]).map((need) => need.package);
  if (missing.length === 0) return;
  await reported(report, `installing ${missing.join(', ')} from Debian`, async () => {
    await aptGet(['update'], signal);
    await aptGet(['install', '--yes', '--no-install-recommends', ...missing], signal);
  });
}

/** The unpacked content of a package that is not installed. */
export async function unpackPackage(name: string, directory: string, signal?: AbortSignal): Promise<void> {
  const download = (): Promise<unknown> =>
    run('apt-get', ['download', name], { cwd: directory, timeoutMs: aptTimeoutMs, signal });
  // A fresh machine has no package lists yet, an old one has lists that name files which are gone.
  await download().catch(() => aptGet(['update'], signal).then(download));
  await run('sh', ['-c', 'dpkg-deb --extract ./*.deb .'], { cwd: directory, signal });
}

async function aptGet(args: readonly string[], signal?: AbortSignal): Promise<void> {
  await run('apt-get', ['--quiet', '--option', 'DPkg::Lock::Timeout=120', ...args], {
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
