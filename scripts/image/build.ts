// `make image`: root file systems, OCI archives, a start of what is in them, and the sizes.
// Written by our own OCI writer and not by a container engine: it needs neither an engine nor root, and gives the same
// bytes for the same input. The Dockerfile is the one description of the image for both.

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundleDirectory, filesOf, programs } from '../bundle.ts';
import { allArchitectures, type Architecture, parseArchitectures } from './architectures.ts';
import { parseDockerfile } from './dockerfile.ts';
import { runToEnd } from './errors.ts';
import { type OciImage, type WrittenImage, writeArchive, writeImage } from './oci.ts';
import { assembleRootfs, imageDirectory, rootfsDirectory } from './rootfs.ts';
import { run } from './run.ts';
import { startImage } from './start.ts';
import { filesBelow } from './tree.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** What a registry gets. */
const indexFile = join(imageDirectory, 'data-direct.oci.tar');
/** What `ctr --namespace k8s.io images import` takes on a machine of this architecture. */
const archiveFile = (architecture: Architecture): string => join(imageDirectory, `data-direct-${architecture}.oci.tar`);

/** What is known of this very build. */
interface Release {
  readonly version: string;
  readonly revision: string;
  /** RFC 3339: SOURCE_DATE_EPOCH, or when the commit was made. */
  readonly created: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { arch: { type: 'string', multiple: true } } });
  const wanted = parseArchitectures(values.arch ?? allArchitectures);
  const release = await readRelease();
  await assembleRootfs(wanted);
  await printTreeSizes(wanted);
  await writeArchives(wanted, release);
  for (const architecture of wanted) {
    const lines = await startImage(archiveFile(architecture), architecture);
    for (const line of lines) console.log(`linux/${architecture} ${line}`);
  }
}

/** An archive for each architecture, and one index of all when all are wanted. */
async function writeArchives(wanted: readonly Architecture[], release: Release): Promise<void> {
  const reference = `localhost/data-direct:${release.version}`;
  const layout = await mkdtemp(join(imageDirectory, '.layout-'));
  try {
    const described = await Promise.all(wanted.map((architecture) => describeImage(architecture, release)));
    const images = await Promise.all(described.map((image) => writeImage(layout, image)));
    for (const image of images) await writeOne(archiveFile(image.architecture), reference, layout, [image]);
    if (wanted.length === allArchitectures.length) await writeOne(indexFile, reference, layout, images);
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

async function writeOne(
  file: string,
  reference: string,
  layout: string,
  images: readonly WrittenImage[],
): Promise<void> {
  const digest = await writeArchive(file, reference, layout, images);
  console.log(`${relative(checkout, file)} holds ${reference} ${digest}`);
  for (const { architecture, layers } of images) {
    const sizes = layers.map(({ size }) => mebibytes(size)).join(' + ');
    console.log(`  linux/${architecture} compressed: ${sizes}`);
  }
}

async function describeImage(architecture: Architecture, { version, revision, created }: Release): Promise<OciImage> {
  const text = await readFile(join(checkout, 'Dockerfile'), 'utf8');
  const { layers, config } = parseDockerfile(text, { TARGETARCH: architecture, VERSION: version, REVISION: revision });
  return { architecture, layers: layers.map((directory) => join(checkout, directory)), config, created };
}

async function readRelease(): Promise<Release> {
  const { version } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as { version: string };
  const git = async (...args: string[]): Promise<string> => (await run('git', args, { cwd: checkout })).trim();
  const seconds = process.env['SOURCE_DATE_EPOCH'] ?? (await git('log', '-1', '--format=%ct'));
  return {
    version,
    revision: await git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'),
    created: new Date(Number(seconds) * 1000).toISOString(),
  };
}

async function printTreeSizes(wanted: readonly Architecture[]): Promise<void> {
  for (const name of Object.keys(programs))
    await printSize(join(bundleDirectory, `${name}.mjs`), bundleDirectory, await filesOf(name));
  for (const directory of wanted.map(rootfsDirectory))
    await printSize(directory, directory, await filesBelow(directory));
}

async function printSize(called: string, directory: string, files: readonly string[]): Promise<void> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(directory, file))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${relative(checkout, called)} ${mebibytes(total)}`);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(2)} MiB`;
}

await runToEnd(main);
