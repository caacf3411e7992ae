// Which Debian packages a part of the toolchain was made of.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageVersion } from '../../rig/debian-archive.ts';

const file = 'packages.json';

export async function recordPackages(directory: string, packages: readonly PackageVersion[]): Promise<void> {
  await writeFile(join(directory, file), `${JSON.stringify(packages, undefined, 2)}\n`);
}

export async function recordedPackages(directory: string): Promise<PackageVersion[]> {
  return JSON.parse(await readFile(join(directory, file), 'utf8')) as PackageVersion[];
}
