// What the oracles are made of: rdma_topo and C headers out of Debian packages, kept in the cache; nothing of them is installed.

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostArchitecture } from '../../scripts/image/architectures.ts';
import { filesBelow } from '../../scripts/image/tree.ts';
import { withCache } from '../rig/cache.ts';
import { DebianArchive, type PackageVersion } from '../rig/debian-archive.ts';
import { errorsOf } from '../rig/errors.ts';
import { ensurePart, type Part } from '../rig/part.ts';
import type { Report } from '../rig/progress.ts';

const oracleError = errorsOf({
  PACKAGE_CONTENT_MISSING: (f: { what: string; package: string }) =>
    `${f.what} is not in ${f.package}: Debian has moved it, see e2e/oracle/toolchain.ts`,
});

/** What is taken from one Debian package. */
interface Source {
  readonly package: string;
  readonly suite: string;
  /** A file that has to be there, as its path below the package's root ends. */
  readonly has: string;
  /** What to keep: that many directories above the file. */
  readonly up: number;
  /** The name to keep it by, where it matters. */
  readonly as?: string;
}

const MLX5 = 'include/linux/mlx5/mlx5_ifc.h';
/** libmlx5 and its like. The whole package is kept, as the root of a container that has nothing else. */
const PROVIDERS = 'ibverbs-providers';
/** linux-headers-amd64 depends on linux-headers-6.12.107+deb13-amd64, and that on …-common, which has the kernel's own headers. */
const KERNEL_HEADERS = 'linux-headers-common';

/**
 * The newest rdma_topo there is; and of the first Linux with data direct and the newest that Debian has, the headers for user space and those
 * about mlx5's firmware. Bookworm's know nothing of data direct.
 */
const SOURCES = {
  'rdma-topo': { package: 'rdma-core', suite: 'sid', has: 'usr/sbin/rdma_topo', up: 0 },
  'uapi-6.12': { package: 'linux-libc-dev', suite: 'trixie', has: 'usr/include/rdma/mlx5-abi.h', up: 2 },
  'uapi-newest': { package: 'linux-libc-dev', suite: 'trixie-backports', has: 'usr/include/rdma/mlx5-abi.h', up: 2 },
  'mlx5-6.12': { package: KERNEL_HEADERS, suite: 'trixie', has: MLX5, up: 1, as: 'linux/mlx5' },
  'mlx5-newest': { package: KERNEL_HEADERS, suite: 'trixie-backports', has: MLX5, up: 1, as: 'linux/mlx5' },
  'libmlx5-44': { package: PROVIDERS, suite: 'bookworm', has: 'libmlx5.so.1', up: 4 },
  'libmlx5-56': { package: PROVIDERS, suite: 'trixie', has: 'libmlx5.so.1', up: 4 },
} as const satisfies Readonly<Record<string, Source>>;

type Name = keyof typeof SOURCES;

/** One thing taken: a file or a directory, and the package that it came from. */
export interface Taken {
  readonly path: string;
  readonly from: PackageVersion;
}

export type Oracles = Readonly<Record<Name, Taken>>;

export async function ensureOracles(report: Report): Promise<Oracles> {
  let opened: Promise<DebianArchive> | undefined;
  const suites = [...new Set(Object.values(SOURCES).map(({ suite }) => suite))];
  const archive = (): Promise<DebianArchive> => (opened ??= DebianArchive.open(suites));
  try {
    return await withCache('oracle', report, async (root) => {
      const taken: Partial<Record<Name, Taken>> = {};
      for (const name of Object.keys(SOURCES) as Name[]) {
        taken[name] = await read(await ensurePart(root, partOf(name, archive), report));
      }
      return taken as Oracles;
    });
  } finally {
    await (await opened?.catch(() => undefined))?.close();
  }
}

const CONTENT = 'content';
const VERSION = 'package.json';

function partOf(name: Name, archive: () => Promise<DebianArchive>): Part {
  const source: Source = SOURCES[name];
  return {
    name,
    version: source.suite,
    about: `fetching ${source.package} of Debian ${source.suite}`,
    inputs: async () => [JSON.stringify(source)],
    build: async (directory) => build(source, await archive(), directory),
  };
}

async function build(source: Source, archive: DebianArchive, directory: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'data-direct-oracle-'));
  try {
    const [version] = await archive.unpack([await packageOf(source, archive)], source.suite, work);
    const found = (await filesBelow(work)).find((file) => file.endsWith(source.has));
    if (found === undefined)
      throw oracleError('PACKAGE_CONTENT_MISSING', { what: source.has, package: source.package });
    const kept = join(work, found, ...Array.from({ length: source.up }, () => '..'));
    await cp(kept, join(directory, CONTENT, source.as ?? ''), { recursive: true, verbatimSymlinks: true });
    await writeFile(join(directory, VERSION), `${JSON.stringify(version)}\n`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function packageOf(source: Source, archive: DebianArchive): Promise<string> {
  if (source.package !== KERNEL_HEADERS) return source.package;
  const architecture = hostArchitecture();
  const dependencies = await archive.dependencies(`linux-headers-${architecture}`, source.suite);
  const newest = dependencies.find((name) => name.startsWith('linux-headers-')) ?? source.package;
  return newest.replace(new RegExp(`-${architecture}$`), '-common');
}

async function read(directory: string): Promise<Taken> {
  const from = JSON.parse(await readFile(join(directory, VERSION), 'utf8')) as PackageVersion;
  return { path: join(directory, CONTENT), from };
}
