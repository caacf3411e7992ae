// Starts what an archive holds, out of the archive itself: unpacked, in a root directory and process namespace of its
// own, by the image's user. The other architecture runs under QEMU's user-mode emulation, with every page size it may meet.

import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Architecture, architectures, hostArchitecture, smallestPage } from './architectures.ts';
import { debianPackages } from './debian.ts';
import { BuildError } from './errors.ts';
import type { OciImageConfig } from './oci.ts';
import { run } from './run.ts';

interface Check {
  readonly command: readonly string[];
  /** What the command must print. */
  readonly prints: RegExp;
}

/** koffi's native module with its libraries, a C function that asks the kernel, and the authorities as OpenSSL finds them. */
const probe = `
  import koffi from 'koffi';
  import tls from 'node:tls';
  const sysconf = koffi.load('libc.so.6').func('long sysconf(int)');
  const authorities = tls.getCACertificates('system').length;
  console.log(process.arch + ', pages of ' + sysconf(30) + ' bytes, ' + authorities + ' certificate authorities');`;

const checks = (architecture: Architecture, pageSize: number): readonly Check[] => [
  { command: ['/node', '--version'], prints: new RegExp(`^${process.version}$`) },
  { command: ['/node', '/app/data-direct.mjs', '--help'], prints: /topo/ },
  {
    command: ['/node', '--input-type=module', '--eval', probe],
    prints: new RegExp(
      `^${architectures[architecture].npm}, pages of ${pageSize} bytes, [1-9]\\d\\d certificate authorities$`,
    ),
  },
];

/** Throws when something does not start; returns the first line that each command printed. */
export async function startImage(archive: string, architecture: Architecture): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), 'data-direct-image-'));
  try {
    const root = join(work, 'root');
    const { User } = await unpackImage(archive, architecture, work, root);
    const env = { PATH: process.env['PATH'] }; // to find unshare; nothing else of this machine may help the image
    const printed: string[] = [];
    for (const { emulator, pageSize } of await waysToRun(architecture, root)) {
      for (const { command, prints } of checks(architecture, pageSize)) {
        const found = (await run('unshare', [...isolation(root, User), ...emulator, ...command], { env })).trim();
        const shown = [...emulator, ...command].join(' ');
        if (!prints.test(found)) {
          throw new BuildError('START_FAILED', { image: archive, command: shown, expected: String(prints), found });
        }
        printed.push(found.split('\n')[0] ?? '');
      }
    }
    return printed;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function unpackImage(
  archive: string,
  architecture: Architecture,
  work: string,
  root: string,
): Promise<OciImageConfig> {
  await mkdir(join(root, 'proc'), { recursive: true }); // a container's runtime makes this mount point, too
  await run('tar', ['--extract', '--file', archive, '--directory', work]);
  const blob = (digest: string): string => join(work, 'blobs', digest.replace(':', '/'));
  const [top] = (await json<Index>(join(work, 'index.json'))).manifests;
  const { manifests } = await json<Index>(blob(top?.digest ?? ''));
  const ours = manifests.find(({ platform }) => platform?.architecture === architecture);
  const { layers, config } = await json<Manifest>(blob(ours?.digest ?? ''));
  for (const { digest } of layers)
    await run('tar', ['--extract', '--gzip', '--file', blob(digest), '--directory', root]);
  return (await json<{ config: OciImageConfig }>(blob(config.digest))).config;
}

async function json<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly platform?: { readonly architecture: string } }[];
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

/** Natively with the kernel's page size, or under QEMU with the smallest and the largest there is. */
async function waysToRun(
  architecture: Architecture,
  root: string,
): Promise<{ readonly emulator: readonly string[]; readonly pageSize: number }[]> {
  if (architecture === hostArchitecture()) {
    return [{ emulator: [], pageSize: Number(await run('getconf', ['PAGESIZE'])) }];
  }
  const { qemu, largestPage } = architectures[architecture];
  const [emulators] = await debianPackages(['qemu-user-static'], hostArchitecture());
  await copyFile(join(emulators?.files ?? '', `usr/bin/qemu-${qemu}-static`), join(root, 'qemu'));
  const pageSizes = [...new Set([smallestPage, largestPage])];
  return pageSizes.map((pageSize) => ({ emulator: ['/qemu', '-p', String(pageSize)], pageSize }));
}

/** The user of the image needs root to become it; without root it is a user namespace's only user. */
function isolation(root: string, user = '0:0'): string[] {
  const [uid, gid] = user.split(':');
  const identity = process.getuid?.() === 0 ? [`--setgid=${gid}`, `--setuid=${uid}`] : ['--map-root-user'];
  const own = ['--mount', '--pid', '--fork', '--kill-child', '--net', `--root=${root}`, '--wd=/app', '--mount-proc'];
  return [...own, ...identity, '--'];
}
