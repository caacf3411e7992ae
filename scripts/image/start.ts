// Starts what an archive holds, out of the archive itself: unpacked, in a root directory and process namespace of its
// own, by the image's user. The other architecture runs under QEMU's user-mode emulation, with every page size it may meet.

import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Architecture, architectures, hostArchitecture, smallestPage } from './architectures.ts';
import { debianPackages } from './debian.ts';
import { BuildError } from './errors.ts';
import { run } from './run.ts';
import { executablesBelow } from './tree.ts';
import { unpackImage } from './unpack.ts';

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

/** A program that complains about a missing file has loaded all that it is made of. */
const checks = (architecture: Architecture, pageSize: number): readonly Check[] => [
  { command: ['/node', '--version'], prints: new RegExp(`^${process.version}$`) },
  { command: ['/node', '/app/data-direct.mjs', '--help'], prints: /.*\btopo\b.*/ },
  { command: ['/node', '/app/data-direct.mjs', 'topo', '--from', 'gb300-tray'], prints: /^mlx5_0 .* Paired$/m },
  {
    command: ['/node', '/app/operator.mjs', '--config', '/missing.json'],
    prints: /\/missing\.json cannot be read as JSON/,
  },
  {
    command: ['/node', '/app/agent.mjs', '--config', '/missing.json'],
    prints: /\/missing\.json cannot be read as JSON/,
  },
  {
    command: ['/node', '--input-type=module', '--eval', probe],
    prints: new RegExp(
      `^${architectures[architecture].npm}, pages of ${pageSize} bytes, [1-9]\\d\\d certificate authorities$`,
    ),
  },
];

/** Throws when something does not start; returns what each command printed, as far as it matters. */
export async function startImage(archive: string, architecture: Architecture): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), 'data-direct-image-'));
  try {
    const { root, config } = await unpackImage(archive, architecture, work);
    await checkPrograms(archive, root);
    await mkdir(join(root, 'proc')); // a container's runtime makes this mount point, too
    const printed: string[] = [];
    for (const { emulator, pageSize } of await waysToRun(architecture, root)) {
      for (const { command, prints } of checks(architecture, pageSize)) {
        const whole = [...emulator, ...command];
        const found = await runInside(root, config.User, whole);
        const [expected] = prints.exec(found) ?? [];
        if (expected === undefined) {
          throw new BuildError('START_FAILED', {
            image: archive,
            command: whole.join(' '),
            prints: prints.source,
            found,
          });
        }
        printed.push(`${command.slice(0, 3).join(' ')} printed: ${expected}`);
      }
    }
    return printed;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** No shell, no package manager, nothing else that an intruder could start. */
async function checkPrograms(image: string, root: string): Promise<void> {
  const found = await executablesBelow(root);
  const expected = found.filter((file) => file === 'node' || /^lib(64)?\/ld-linux-[^/]+$/.test(file));
  if (found.length !== 2 || expected.length !== 2) throw new BuildError('EXECUTABLES_UNEXPECTED', { image, found });
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

/** Changing to the image's user needs root; without root the only user of a user namespace must do. */
async function runInside(root: string, user: string | undefined, command: readonly string[]): Promise<string> {
  const [uid = '0', gid = '0'] = user?.split(':') ?? [];
  const identity = process.getuid?.() === 0 ? [`--setgid=${gid}`, `--setuid=${uid}`] : ['--map-root-user'];
  const own = ['--mount', '--pid', '--fork', '--kill-child', '--net', `--root=${root}`, '--wd=/app', '--mount-proc'];
  const env = { PATH: process.env['PATH'] }; // to find unshare; nothing else of this machine may help the image
  try {
    return (await run('unshare', [...own, ...identity, '--', ...command], { env })).trim();
  } catch (error) {
    if (!isFailedCommand(error)) throw error;
    return error.fields.output;
  }
}

function isFailedCommand(error: unknown): error is BuildError<'COMMAND_FAILED'> {
  return error instanceof BuildError && error.code === 'COMMAND_FAILED';
}
