// Packages of any Debian release, downloaded and unpacked; nothing of them is installed, none of their scripts runs.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apt, type AptSource, machineSources, privateApt } from '../../scripts/image/apt.ts';
import { hostArchitecture } from '../../scripts/image/architectures.ts';
import { errorsOf } from './errors.ts';
import { run } from './run.ts';

const archiveError = errorsOf({
  DEBIAN_SOURCES_MISSING: (f: { suites: readonly string[] }) =>
    `apt knows no Debian mirror on this machine to fetch ${f.suites.join(' and ')} from: run "apt-get update" on a Debian machine`,
});

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** One opened archive: its package lists are fetched once. */
export class DebianArchive {
  readonly #directory: string;
  readonly #apt: Apt;

  private constructor(directory: string, apt: Apt) {
    this.#directory = directory;
    this.#apt = apt;
  }

  static async open(suites: readonly string[]): Promise<DebianArchive> {
    const directory = await mkdtemp(join(tmpdir(), 'data-direct-debian-'));
    try {
      const apt = await privateApt(directory, hostArchitecture(), await sources(suites));
      // The lists of a mirror that stands still are past their date; they are signed all the same.
      await apt.get('--option', 'Acquire::Check-Valid-Until=false', 'update');
      return new DebianArchive(directory, apt);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Names that the package's `Depends` and `Pre-Depends` hold. */
  async dependencies(name: string, suite: string): Promise<string[]> {
    const lines = await this.#apt.cache('depends', `${name}/${suite}`);
    return [...lines.matchAll(/^[ |]*(?:Pre)?Depends: (\S+)$/gm)].map(([, dependency = '']) => dependency);
  }

  /** The packages alone, without what they depend on. */
  async unpack(names: readonly string[], suite: string, into: string): Promise<PackageVersion[]> {
    await this.#apt.get('download', ...names.map((name) => `${name}/${suite}`));
    return unpackAll(this.#directory, into);
  }

  /** The packages and everything they depend on, of this suite as far as it has them. */
  async unpackWithDependencies(names: readonly string[], suite: string, into: string): Promise<PackageVersion[]> {
    const options = ['--yes', '--download-only', '--no-install-recommends', '--target-release', suite];
    await this.#apt.get(...options, 'install', ...names);
    return unpackAll(join(this.#directory, 'apt/archives'), into);
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Unpacks what was downloaded to `from`, and removes it there. */
async function unpackAll(from: string, into: string): Promise<PackageVersion[]> {
  const files = (await readdir(from)).filter((name) => name.endsWith('.deb')).toSorted();
  const unpacked: PackageVersion[] = [];
  for (const file of files.map((name) => join(from, name))) {
    unpacked.push(await versionOf(file));
    await run('dpkg-deb', ['--extract', file, into]);
    await rm(file);
  }
  return unpacked;
}

async function versionOf(file: string): Promise<PackageVersion> {
  const { stdout } = await run('dpkg-deb', ['--show', '--showformat', '${Package} ${Version}', file]);
  const [name = '', version = ''] = stdout.split(' ');
  return { name, version };
}

/** From the mirrors that this machine uses for its own release. */
async function sources(suites: readonly string[]): Promise<AptSource[]> {
  const releases = (await machineSources()).filter(
    ({ suite, component }) => !suite.includes('-') && component === 'main',
  );
  const mirrors = [...new Set(releases.map(({ mirror }) => mirror))];
  if (mirrors.length === 0) throw archiveError('DEBIAN_SOURCES_MISSING', { suites });
  return mirrors.flatMap((mirror) => suites.map((suite) => ({ mirror, suite, component: 'main' })));
}
