// Debian packages of either architecture, unpacked and not installed. How they are downloaded: apt.ts.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type AptSource, machineSources, privateApt } from './apt.ts';
import type { Architecture } from './architectures.ts';
import { cached } from './cache.ts';
import { BuildError } from './errors.ts';
import { run } from './run.ts';

/** The release whose libraries go into the image. */
const release = 'bookworm';

export interface DebianPackage {
  readonly name: string;
  /** The unpacked files. */
  readonly files: string;
  /** Its entry for a dpkg status file. */
  readonly control: string;
}

/**
 * The newest versions of the release and its security updates, as old as this week at most: a rebuild brings
 * the fixes. What went into an image is written into it (rootfs.ts).
 */
export async function debianPackages(names: readonly string[], architecture: Architecture): Promise<DebianPackage[]> {
  const set = `debian-${release}/${architecture}-${names.join('+')}`;
  const directory = await cached(join(set, isoWeek(new Date())), async (work) => {
    const apt = await privateApt(work, architecture, await sources());
    await apt.get('update');
    await apt.get('download', ...names);
    const archives = (await readdir(work)).filter((name) => name.endsWith('.deb'));
    for (const archive of archives) await unpack(work, archive);
    await rm(join(work, 'apt'), { recursive: true });
  });
  await removeOlder(directory);
  return Promise.all(
    names.map(async (name) => ({
      name,
      files: join(directory, name, 'files'),
      control: await readFile(join(directory, name, 'control'), 'utf8'),
    })),
  );
}

/** What was downloaded in earlier weeks. */
async function removeOlder(directory: string): Promise<void> {
  const weeks = (await readdir(dirname(directory))).filter((name) => /^\d+-W\d+$/.test(name));
  const older = weeks.filter((week) => week < basename(directory));
  await Promise.all(older.map((week) => rm(join(dirname(directory), week), { recursive: true, force: true })));
}

async function unpack(work: string, archive: string): Promise<void> {
  const name = archive.slice(0, archive.indexOf('_'));
  await mkdir(join(work, name));
  await writeFile(join(work, name, 'control'), await run('dpkg-deb', ['--field', archive], { cwd: work }));
  await run('dpkg-deb', ['--extract', archive, join(name, 'files')], { cwd: work });
  await rm(join(work, archive));
}

/** The mirrors this machine is set up with, for our release. */
async function sources(): Promise<AptSource[]> {
  const found = (await machineSources()).filter(({ suite }) => suite.split('-')[0] === release);
  if (found.length === 0) throw new BuildError('DEBIAN_SOURCES_MISSING', { release });
  return found;
}

/** `2026-W47` (ISO 8601: the week that holds this day's Thursday). */
export function isoWeek(date: Date): string {
  const thursday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const dayOfYear = (thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / 86_400_000;
  return `${thursday.getUTCFullYear()}-W${String(Math.floor(dayOfYear / 7) + 1).padStart(2, '0')}`;
}
