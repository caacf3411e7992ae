// Debian packages of the suites in ../versions.ts, downloaded and unpacked; nothing of them is installed, none of their
// scripts runs.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apt, type AptSource, machineSources, privateApt } from '../../../scripts/image/apt.ts';
import { run } from '../../rig/run.ts';
import { kernelError } from '../errors.ts';
import { type Suite, suites } from '../versions.ts';

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
}

/** One opened archive: its package lists are fetched once. */
export class Archive {
  readonly #directory: string;
  readonly #apt: Apt;

  private constructor(directory: string, apt: Apt) {
    this.#directory = directory;
    this.#apt = apt;
  }

  static async open(): Promise<Archive> {
    const directory = await mkdtemp(join(tmpdir(), 'data-direct-debian-'));
    try {
      const apt = await privateApt(directory, 'amd64', await sources());
      await apt.get('update');
      return new Archive(directory, apt);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Names that the package's `Depends` and `Pre-Depends` hold. */
  async dependencies(name: string, suite?: Suite): Promise<string[]> {
    const lines = await this.#apt.cache('depends', suite === undefined ? name : `${name}/${suite}`);
    return [...lines.matchAll(/^[ |]*(?:Pre)?Depends: (\S+)$/gm)].map(([, dependency = '']) => dependency);
  }

  /** The packages alone. */
  async unpack(names: readonly string[], suite: Suite, into: string): Promise<PackageVersion[]> {
    await this.#apt.get('download', ...names.map((name) => `${name}/${suite}`));
    return unpackAll(this.#directory, into);
  }

  /** The packages and everything they depend on. */
  async unpackWithDependencies(names: readonly string[], suite: Suite, into: string): Promise<PackageVersion[]> {
    const options = ['--yes', '--download-only', '--no-install-recommends', '--target-release', suite];
    await this.#apt.get(...options, 'install', ...names);
    return unpackAll(join(this.#directory, 'apt/archives'), into);
  }

  async close(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** From the mirrors that this machine uses for its own release. */
async function sources(): Promise<AptSource[]> {
  const releases = (await machineSources()).filter(
    ({ suite, component }) => !suite.includes('-') && component === 'main',
  );
  const mirrors = [...new Set(releases.map(({ mirror }) => mirror))];
  if (mirrors.length === 0) throw kernelError('DEBIAN_SOURCES_MISSING', { suites });
  return mirrors.flatMap((mirror) => suites.map((suite) => ({ mirror, suite, component: 'main' })));
}

/** Unpacks what was downloaded to `from` and removes it there. */
async function unpackAll(from: string, into: string): Promise<PackageVersion[]> {
  await mkdir(into, { recursive: true });
  const files = (await readdir(from)).filter((name) => name.endsWith('.deb')).toSorted();
  const unpacked: PackageVersion[] = [];
  for (const file of files.map((name) => join(from, name))) {
    const { stdout } = await run('dpkg-deb', ['--show', '--showformat', '${Package} ${Version}', file]);
    const [name = '', version = ''] = stdout.split(' ');
    await run('dpkg-deb', ['--extract', file, into]);
    await rm(file);
    unpacked.push({ name, version });
  }
  return unpacked;
}
