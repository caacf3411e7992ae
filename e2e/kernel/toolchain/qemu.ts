// QEMU, taken out of Debian's packages: one program, the libraries it needs and three firmware files, started by the
// dynamic linker that belongs to them. It runs on any x64 Linux and is installed nowhere.

import { chmod, copyFile, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readElf } from '../../../scripts/image/elf.ts';
import { neededLibraries } from '../../../scripts/image/libraries.ts';
import { exists } from '../../../scripts/image/tree.ts';
import type { DebianArchive } from '../../rig/debian-archive.ts';
import type { Part } from '../../rig/part.ts';
import { kernelError } from '../errors.ts';
import { qemu } from '../versions.ts';
import { recordPackages } from './packages.ts';

export const programName = 'qemu-system-x86_64';
/** libstdc++6 is no dependency of it in backports, but of some of its libraries. */
const debianNames = ['qemu-system-x86', 'libstdc++6'];
/** All that `-nodefaults -display none -kernel` reads. */
const firmware = ['seabios/bios-256k.bin', 'qemu/kvmvapic.bin', 'qemu/linuxboot_dma.bin'];

export function qemuPart(archive: () => Promise<DebianArchive>): Part {
  return {
    name: 'qemu',
    version: qemu.series,
    about: `fetching QEMU ${qemu.series} of Debian ${qemu.suite}`,
    inputs: async () => [qemu.suite, ...debianNames, ...firmware],
    async build(directory, step) {
      const work = await mkdtemp(join(tmpdir(), 'data-direct-qemu-'));
      try {
        step.note('some ninety packages');
        const packages = await (await archive()).unpackWithDependencies(debianNames, qemu.suite, work);
        const found = packages.find(({ name }) => name === debianNames[0])?.version ?? 'none';
        if (!found.replace(/^\d+:/, '').startsWith(`${qemu.series}.`)) {
          throw kernelError('QEMU_SERIES_CHANGED', { suite: qemu.suite, wanted: qemu.series, found });
        }
        await takeQemu(work, directory);
        await recordPackages(directory, packages);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

/** What comes before QEMU's own arguments. `program` is the one in `directory` or a changed copy of it. */
export function qemuCommand(directory: string, program: string): string[] {
  const libraries = join(directory, 'lib');
  const linker = join(libraries, 'ld-linux-x86-64.so.2');
  return [linker, '--library-path', libraries, program, '-L', join(directory, 'firmware')];
}

export function qemuProgram(directory: string): string {
  return join(directory, 'bin', programName);
}

async function takeQemu(from: string, to: string): Promise<void> {
  const program = join(from, 'usr/bin', programName);
  const libraries = await neededLibraries([program], { readElf, find: (soname) => findLibrary(from, soname) });
  for (const directory of ['bin', 'lib', 'firmware']) await mkdir(join(to, directory));
  await copyFile(program, qemuProgram(to));
  for (const [soname, file] of libraries) await copyFile(file, join(to, 'lib', soname));
  await chmod(join(to, 'lib/ld-linux-x86-64.so.2'), 0o755);
  for (const file of firmware) await copyFile(join(from, 'usr/share', file), join(to, 'firmware', basename(file)));
}

async function findLibrary(tree: string, soname: string): Promise<string | undefined> {
  const places = ['usr/lib/x86_64-linux-gnu', 'usr/lib64', 'usr/lib'];
  for (const place of places.map((directory) => join(tree, directory, soname))) {
    if (await exists(place)) return realpath(place);
  }
  return undefined;
}
