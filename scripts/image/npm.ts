// npm packages of either architecture, also those that `npm ci` leaves out because they are made for another CPU.
// Versions and hashes are those of package-lock.json; npm does the downloading.

import { createHash } from 'node:crypto';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached } from './cache.ts';
import { BuildError } from './errors.ts';
import { run } from './run.ts';
import { exists } from './tree.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
}

/** The directory of the unpacked package: the installed one, or one in the cache. */
export async function lockedPackage(name: string): Promise<string> {
  const installed = join(checkout, 'node_modules', name);
  if (await exists(installed)) return installed;
  const lock = JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8')) as LockFile;
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) throw new BuildError('PACKAGE_NOT_LOCKED', { name });
  const directory = await cached(`npm/${name.replace('/', '+')}-${version}`, async (work) => {
    const archive = await download(`${name}@${version}`, work);
    await verify(name, archive, integrity);
    await run('tar', ['--extract', '--file', archive, '--directory', work, '--no-same-owner']);
    await rm(archive);
  });
  return join(directory, 'package');
}

async function download(specification: string, directory: string): Promise<string> {
  await run('npm', ['pack', specification, '--pack-destination', directory, '--prefer-offline', '--silent'], {
    cwd: checkout,
  });
  const [archive] = await readdir(directory);
  return join(directory, archive ?? '');
}

async function verify(name: string, archive: string, expected: string): Promise<void> {
  const found = `sha512-${createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')}`;
  if (found !== expected) throw new BuildError('INTEGRITY_MISMATCH', { name, expected, found });
}
