// The licence texts of the npm packages that are inside the bundles: most licences ask that their text goes along.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** `directories` are package directories below `root`, e.g. node_modules/pino. */
export async function licenceTexts(root: string, directories: readonly string[]): Promise<string> {
  const sections = await Promise.all(directories.toSorted().map((directory) => section(join(root, directory))));
  return sections.join(`\n${'-'.repeat(80)}\n\n`);
}

async function section(directory: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as PackageJson;
  const files = (await readdir(directory)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).toSorted();
  const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
  return `${name} ${version} (${license ?? 'no licence named'})\n\n${texts.join('\n')}`;
}

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}
