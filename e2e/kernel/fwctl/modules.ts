// fwctl.ko and mlx5_fwctl.ko for a Debian kernel, which has neither: built out of tree from Debian's source of that kernel, with Debian's compiler and
// headers in a directory of their own.

import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCache } from '../../rig/cache.ts';
import { DebianArchive } from '../../rig/debian-archive.ts';
import { ensurePart, type Part } from '../../rig/part.ts';
import type { Report, Step } from '../../rig/progress.ts';
import { run } from '../../rig/run.ts';
import { kernels, suites } from '../versions.ts';

export const MODULES = ['fwctl.ko', 'mlx5_fwctl.ko'] as const;

/** The first of the two that has drivers/fwctl. */
const SERIES = '7.3';
const SOURCE = `linux-source-${SERIES}`;
const COMPILER = 'gcc-14';
const TOOLS = ['base-files', 'bash', 'coreutils', 'dash', 'findutils', 'gawk', 'grep', 'make', 'sed', COMPILER];
const MAKEFILE = `obj-m := fwctl.o mlx5_fwctl.o
fwctl-y := fwctl_main.o
mlx5_fwctl-y := mlx5_main.o
`;
const BUILD_MS = 300_000;

/** The directory that holds them. */
export function ensureFwctlModules(report: Report): Promise<string> {
  return withCache('kernel', report, (root) => ensurePart(root, part, report));
}

const part: Part = {
  name: 'fwctl',
  version: SERIES,
  about: `building fwctl for Linux ${SERIES}`,
  inputs: async () => [SOURCE, ...TOOLS, MAKEFILE],
  async build(directory, step) {
    const work = await mkdtemp(join(tmpdir(), 'data-direct-fwctl-'));
    const archive = await DebianArchive.open(suites);
    try {
      await takeSource(archive, work);
      const headers = await takeTools(archive, work, step);
      // Another root, because the tools of that release want its libraries; and objtool looks into /proc.
      const inRoot = ['--fork', '--pid', `--mount-proc=${join(work, 'proc')}`, 'chroot', work];
      const build = ['make', '-C', `/usr/src/${headers}`, 'M=/build', 'modules'];
      await run('unshare', [...inRoot, ...build], { timeoutMs: BUILD_MS });
      for (const module of MODULES) await copyFile(join(work, 'build', module), join(directory, module));
    } finally {
      await archive.close();
      await rm(work, { recursive: true, force: true });
    }
  },
};

async function takeSource(archive: DebianArchive, work: string): Promise<void> {
  const source = join(work, 'source');
  await archive.unpack([SOURCE], kernels[SERIES].suite, source);
  const tarball = join(source, 'usr/src', `${SOURCE}.tar.xz`);
  await run('tar', ['-xJf', tarball, '-C', source, '--wildcards', '*/drivers/fwctl/*'], { timeoutMs: BUILD_MS });
  const drivers = join(source, SOURCE, 'drivers/fwctl');
  await mkdir(join(work, 'build'));
  await copyFile(join(drivers, 'main.c'), join(work, 'build/fwctl_main.c'));
  await copyFile(join(drivers, 'mlx5/main.c'), join(work, 'build/mlx5_main.c'));
  await writeFile(join(work, 'build/Makefile'), MAKEFILE);
}

/** The name of the headers. What the packages' own scripts would link is linked here. */
async function takeTools(archive: DebianArchive, work: string, step: Step): Promise<string> {
  const { suite } = kernels[SERIES];
  const packages = await archive.unpackWithDependencies(['linux-headers-amd64', ...TOOLS], suite, work);
  for (const [name, to] of Object.entries({ gcc: COMPILER, sh: 'dash', awk: 'gawk' })) {
    await rm(join(work, 'usr/bin', name), { force: true });
    await symlink(to, join(work, 'usr/bin', name));
  }
  await run('mknod', [join(work, 'dev/null'), 'c', '1', '3']);
  const headers = (await readdir(join(work, 'usr/src'))).find((name) => /^linux-headers-.*-amd64$/.test(name)) ?? '';
  step.note(`${packages.length} packages, ${headers}`);
  return headers;
}
