// Writes OCI images (image-spec: config.md, manifest.md, image-layout.md) as archive files, without any container engine.
// Same input, same bytes. What goes into an image is decided by the callers.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Architecture } from './architectures.ts';
import { run } from './run.ts';

/** One platform's image. */
export interface OciImage {
  readonly architecture: Architecture;
  /** Directories, lowest layer first; the content of each is laid over /. Modes and links are kept; owners become 0:0, times the epoch. */
  readonly layers: readonly string[];
  readonly config: OciImageConfig;
  /** RFC 3339; left out for an image that only tests use. */
  readonly created?: string;
}

/** The keys and spelling of image-spec config.md. */
export interface OciImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface WrittenImage {
  readonly architecture: Architecture;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** Images are written into a layout directory first, so that archives can share what they have in common. */
export async function writeImage(layout: string, image: OciImage): Promise<WrittenImage> {
  await mkdir(blobs(layout), { recursive: true });
  const { architecture } = image;
  const layers = await Promise.all(image.layers.map((directory) => writeLayer(layout, directory)));
  const config = await writeJsonBlob(layout, mediaTypes.config, {
    ...(image.created !== undefined && { created: image.created }),
    architecture,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const descriptors = layers.map(({ descriptor }) => descriptor);
  const manifest = await writeJsonBlob(layout, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: descriptors,
  });
  return { architecture, manifest, config, layers: descriptors };
}

/**
 * Writes `file`, which holds `reference` ("localhost/name:tag") as an index with one manifest per image of the layout.
 * The file appears whole or not at all. Returns the index's digest.
 */
export async function writeArchive(
  file: string,
  reference: string,
  layout: string,
  images: readonly WrittenImage[],
): Promise<string> {
  const index = await writeJsonBlob(layout, mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: images.map(({ manifest, architecture }) => ({ ...manifest, platform: { architecture, os: 'linux' } })),
  });
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(layout, 'index.json'), JSON.stringify(layoutIndex(index, reference)));
  const held = [index, ...images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers])];
  const paths = held.map(({ digest }) => join('blobs/sha256', hex(digest)));
  const unfinished = `${file}.unfinished-${process.pid}`;
  try {
    await tar(layout, unfinished, ['oci-layout', 'index.json', ...new Set(paths)]);
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
  return index.digest;
}

/** An archive of one image for callers that have no use for the layout. */
export async function writeImageArchive(file: string, reference: string, image: OciImage): Promise<WrittenImage> {
  const layout = await mkdtemp(join(dirname(file), `.${basename(file)}-`));
  try {
    const written = await writeImage(layout, image);
    await writeArchive(file, reference, layout, [written]);
    return written;
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

/** containerd names the image by its own annotation, everyone else by the specification's. */
function layoutIndex(index: Descriptor, reference: string): unknown {
  const annotations = { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference };
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [{ ...index, annotations }] };
}

async function writeLayer(layout: string, directory: string): Promise<{ descriptor: Descriptor; diffId: string }> {
  const work = await mkdtemp(join(layout, '.layer-'));
  try {
    const archive = join(work, 'layer.tar');
    const compressed = join(work, 'layer.tar.gz');
    // The directory itself is left out: the mode of a temporary directory must not become the mode of the image's /.
    await tar(directory, archive, (await readdir(directory)).toSorted());
    const diffId = await digestOf(archive);
    await pipeline(createReadStream(archive), createGzip(), createWriteStream(compressed));
    const digest = await digestOf(compressed);
    const { size } = await stat(compressed);
    await rename(compressed, join(blobs(layout), hex(digest)));
    return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeJsonBlob(layout: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(join(blobs(layout), hex(digest)), bytes);
  return { mediaType, digest, size: bytes.length };
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `sha256:${hash.digest('hex')}`;
}

function blobs(layout: string): string {
  return join(layout, 'blobs/sha256');
}

function hex(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

async function tar(directory: string, file: string, names: readonly string[]): Promise<void> {
  const reproducible = [
    '--format=posix',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
  ];
  await run('tar', ['--create', '--file', file, '--directory', directory, ...reproducible, '--', ...names]);
}
