// Lays out the image's files for one architecture in build/image/rootfs-<architecture>: `base` (Node and what it needs)
// and `app` (the programs). No shell, no package manager: a file is here because something below names it.

import { chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, bundleDirectory, filesOf, programs } from '../bundle.ts';
import { type Architecture, architectures } from './architectures.ts';
import { type DebianPackage, debianPackages } from './debian.ts';
import { readElf } from './elf.ts';
import { BuildError } from './errors.ts';
import { neededLibraries } from './libraries.ts';
import { lockedPackage } from './npm.ts';
import { copyInto, exists, filesBelow, writeInto } from './tree.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
export const imageDirectory = join(checkout, 'build/image');

/** Everything that comes from Debian; libraries are taken out of these as far as they are needed. */
const debianNames = ['base-files', 'ca-certificates', 'gcc-12-base', 'libc6', 'libgcc-s1', 'libstdc++6'];

/** Files of those packages that are taken as they are, whichever package has them. */
const debianFiles: readonly RegExp[] = [
  /^usr\/lib\/os-release$/, // vulnerability scanners read release and versions (var/lib/dpkg/status.d, below)
  /^usr\/share\/doc\/[^/]+\/copyright$/,
  /^usr\/share\/common-licenses\//, // where those copyrights point
];

/** Accounts and lookups that C libraries and `runAsUser` expect to find. */
const configuration: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n',
  'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
  'etc/nsswitch.conf': 'hosts: files dns\n', // glibc's own default asks DNS before /etc/hosts
};

/** For Node and for the dynamic linker, which the kernel starts for it; for nothing else. */
const executable = 0o755;

/** Its layers, lowest first, are the directories `base` and `app`. */
export function rootfsDirectory(architecture: Architecture): string {
  return join(imageDirectory, `rootfs-${architecture}`);
}

/** Makes bundles and root file systems; each root file system appears whole. */
export async function assembleRootfs(wanted: readonly Architecture[]): Promise<void> {
  await bundle({ entries: programs, directory: bundleDirectory, architectures: wanted });
  for (const architecture of wanted) await assembleOne(architecture);
}

async function assembleOne(architecture: Architecture): Promise<void> {
  await mkdir(imageDirectory, { recursive: true });
  const work = await mkdtemp(join(imageDirectory, `.rootfs-${architecture}-`));
  try {
    await addPrograms(join(work, 'app'), architecture);
    await addBase(join(work, 'base'), join(work, 'app'), architecture);
    await chmod(work, 0o755);
    await rm(rootfsDirectory(architecture), { recursive: true, force: true });
    await rename(work, rootfsDirectory(architecture));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function addPrograms(app: string, architecture: Architecture): Promise<void> {
  const native = `node_modules/@koromix/koffi-linux-${architectures[architecture].npm}`;
  const modules = await Promise.all(['node_modules/koffi', native].map((name) => filesBelow(bundleDirectory, name)));
  const own = await Promise.all(Object.keys(programs).map(filesOf));
  const files = [...own.flat(), ...modules.flat()];
  for (const file of files) await copyInto(app, join('app', file), join(bundleDirectory, file));
  await copyInto(app, 'licenses/LICENSE', join(checkout, 'LICENSE'));
  await copyInto(app, 'licenses/npm-packages.txt', join(bundleDirectory, 'licences.txt'));
}

async function addBase(base: string, app: string, architecture: Architecture): Promise<void> {
  const node = await lockedPackage(`node-linux-${architectures[architecture].npm}`);
  const packages = await debianPackages(debianNames, architecture);
  await copyInto(base, 'node', join(node, 'bin/node'), executable);
  await copyInto(base, 'licenses/node.txt', join(node, 'LICENSE'));
  await addLibraries(base, app, packages, architecture);
  await addDebianFiles(base, packages);
  await addCertificates(base, packages);
  for (const [path, text] of Object.entries(configuration)) await writeInto(base, path, text);
  await mkdir(join(base, 'tmp'));
  await chmod(join(base, 'tmp'), 0o1777);
}

/** What the dynamic linker will look for, at the places where it looks (ld.so(8)). */
async function addLibraries(
  base: string,
  app: string,
  packages: readonly DebianPackage[],
  architecture: Architecture,
): Promise<void> {
  const { triplet } = architectures[architecture];
  const modules = (await filesBelow(app)).filter((file) => file.endsWith('.node')).map((file) => join(app, file));
  const loaders = [join(base, 'node'), ...modules];
  const libraries = await neededLibraries(loaders, {
    readElf,
    find: (soname) => find(packages, [`lib/${triplet}/${soname}`, `usr/lib/${triplet}/${soname}`]),
  });
  const interpreter = (await readElf(join(base, 'node')))?.interpreter ?? '';
  for (const [soname, file] of libraries) {
    if (soname === basename(interpreter)) await copyInto(base, interpreter, file, executable);
    else await copyInto(base, `lib/${triplet}/${soname}`, file);
  }
  for (const file of [...loaders, ...libraries.values()]) await checkLoadable(file, architecture);
}

/** A file for another CPU, or one that a kernel with large pages refuses to map, must not get into an image. */
async function checkLoadable(file: string, architecture: Architecture): Promise<void> {
  const { elfMachine, largestPage } = architectures[architecture];
  const elf = await readElf(file);
  if (elf === undefined) throw new BuildError('ELF_MALFORMED', { file, problem: 'it has no 64-bit ELF header' });
  const { machine, alignment } = elf;
  if (machine !== elfMachine) throw new BuildError('ELF_MACHINE_WRONG', { file, expected: elfMachine, found: machine });
  if (alignment < largestPage) throw new BuildError('PAGE_ALIGNMENT_TOO_SMALL', { file, alignment, page: largestPage });
}

async function addDebianFiles(base: string, packages: readonly DebianPackage[]): Promise<void> {
  for (const { name, files, control } of packages) {
    await writeInto(base, `var/lib/dpkg/status.d/${name}`, control);
    const taken = (await filesBelow(files)).filter((file) => debianFiles.some((pattern) => pattern.test(file)));
    for (const file of taken) await copyInto(base, file, join(files, file));
  }
}

/** Mozilla's authorities in one file, as Debian's update-ca-certificates would make it. */
async function addCertificates(base: string, packages: readonly DebianPackage[]): Promise<void> {
  const trees = packages.map(({ files }) => files);
  const all = await Promise.all(
    trees.map(async (tree) => (await filesBelow(tree)).map((file) => [tree, file] as const)),
  );
  const authorities = all.flat().filter(([, file]) => file.startsWith('usr/share/ca-certificates/mozilla/'));
  const texts = await Promise.all(authorities.map(([tree, file]) => readFile(join(tree, file), 'utf8')));
  await writeInto(base, 'etc/ssl/certs/ca-certificates.crt', texts.join(''));
}

async function find(packages: readonly DebianPackage[], paths: readonly string[]): Promise<string | undefined> {
  const candidates = packages.flatMap(({ files }) => paths.map((path) => join(files, path)));
  for (const candidate of candidates) if (await exists(candidate)) return candidate;
  return undefined;
}
