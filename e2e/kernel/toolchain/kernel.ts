// One Debian kernel: `vmlinuz` and, under lib/modules/RELEASE, the modules of ../versions.ts, uncompressed, with tables
// for modprobe.

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { filesBelow } from '../../../scripts/image/tree.ts';
import type { DebianArchive } from '../../rig/debian-archive.ts';
import type { Part } from '../../rig/part.ts';
import { run } from '../../rig/run.ts';
import { kernelError } from '../errors.ts';
import { type KernelSeries, kernels, modules, type Suite } from '../versions.ts';
import { type ModuleInfo, moduleName, readModinfo } from './modinfo.ts';
import { loadOrder, modulesAlias, modulesDep } from './modules.ts';
import { recordPackages } from './packages.ts';

export interface Kernel {
  readonly vmlinuz: string;
  /** As uname -r prints it. */
  readonly release: string;
  /** Below lib/modules. */
  readonly modules: string;
}

/** Also says the release. */
const modulePath = /(?:^|\/)lib\/modules\/([^/]+)\/.*\.ko\.xz$/;

export function kernelPart(series: KernelSeries, archive: () => Promise<DebianArchive>): Part {
  const { suite, askedByName } = kernels[series];
  const wanted = [...modules, ...askedByName];
  return {
    name: 'linux',
    version: series,
    about: `fetching Linux ${series} of Debian ${suite}`,
    inputs: async () => [suite, ...wanted],
    async build(directory, step) {
      const work = await mkdtemp(join(tmpdir(), 'data-direct-linux-'));
      try {
        const names = await kernelPackages(await archive(), series, suite);
        step.note(names.join(', '));
        const packages = await (await archive()).unpack(names, suite, work);
        await takeKernel(work, directory, wanted, names);
        await recordPackages(directory, packages);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

export async function openKernel(directory: string): Promise<Kernel> {
  const [release = ''] = await readdir(join(directory, 'lib/modules'));
  return { vmlinuz: join(directory, 'vmlinuz'), release, modules: join(directory, 'lib/modules') };
}

/** 6.12 is one package; 7.3 is split into image, binary, modules and base, where the image only depends on the others. */
async function kernelPackages(archive: DebianArchive, series: KernelSeries, suite: Suite): Promise<string[]> {
  const image = (await archive.dependencies('linux-image-amd64', suite)).find((name) =>
    name.startsWith('linux-image-'),
  );
  if (image?.startsWith(`linux-image-${series}.`) !== true) {
    throw kernelError('KERNEL_SERIES_CHANGED', { suite, wanted: series, found: image ?? 'no kernel' });
  }
  const others = await archive.dependencies(image, suite);
  return [image, ...others.filter((name) => /^linux-(?:binary|modules)-\d/.test(name))];
}

async function takeKernel(
  from: string,
  to: string,
  wanted: readonly string[],
  packages: readonly string[],
): Promise<void> {
  const files = await filesBelow(from);
  const vmlinuz = files.find((file) => basename(file).startsWith('vmlinuz'));
  const compressed = new Map(
    files.filter((file) => modulePath.test(file)).map((file) => [moduleName(basename(file, '.ko.xz')), file]),
  );
  const [anyModule] = compressed.values();
  if (vmlinuz === undefined || anyModule === undefined) {
    throw kernelError('PACKAGE_CONTENT_MISSING', { what: 'a kernel with modules', packages });
  }
  const release = modulePath.exec(anyModule)?.[1] ?? '';
  const target = join(to, 'lib/modules', release);
  await mkdir(target, { recursive: true });
  await copyFile(join(from, vmlinuz), join(to, 'vmlinuz'));
  const taken = await loadOrder(wanted, async (name, neededBy): Promise<ModuleInfo> => {
    const file = compressed.get(name);
    if (file === undefined) throw kernelError('MODULE_UNKNOWN', { name, neededBy });
    const module = join(target, `${name}.ko`);
    await run('sh', ['-c', 'xz --decompress --stdout "$1" >"$2"', 'sh', join(from, file), module]);
    return readModinfo(await readFile(module), file);
  });
  await writeFile(join(target, 'modules.dep'), modulesDep(taken));
  await writeFile(join(target, 'modules.alias'), modulesAlias(taken));
}
