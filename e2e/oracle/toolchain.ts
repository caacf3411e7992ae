// What the oracles are made of: rdma_topo and C headers out of Debian packages, kept in the cache; nothing of them is installed.

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCache } from '../rig/cache.ts';
import { DebianArchive, type PackageVersion } from '../rig/debian-archive.ts';
import { ensurePart, type Part } from '../rig/part.ts';
import type { Report } from '../rig/progress.ts';

/** What is taken from one Debian package. */
interface Source {
  readonly package: string;
  readonly suite: string;
  /** Below the package's root. */
  readonly take: string;
}

/**
 * The newest rdma_topo there is, and the kernel's user space headers of the first release with data direct and of the newest:
 * bookworm's know nothing of it.
 */
const SOURCES = {
  'rdma-topo': { package: 'rdma-core', suite: 'sid', take: 'usr/sbin/rdma_topo' },
  'headers-6.12': { package: 'linux-libc-dev', suite: 'trixie', take: 'usr/include' },
  'headers-newest': { package: 'linux-libc-dev', suite: 'trixie-backports', take: 'usr/include' },
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
    inputs: async () => [source.package, source.take],
    async build(directory) {
      const work = await mkdtemp(join(tmpdir(), 'data-direct-oracle-'));
      try {
        await mkdir(directory, { recursive: true });
        const [version] = await (await archive()).unpack([source.package], source.suite, work);
        await cp(join(work, source.take), join(directory, CONTENT), { recursive: true });
        await writeFile(join(directory, VERSION), `${JSON.stringify(version)}\n`);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
  };
}

async function read(directory: string): Promise<Taken> {
  const from = JSON.parse(await readFile(join(directory, VERSION), 'utf8')) as PackageVersion;
  return { path: join(directory, CONTENT), from };
}
