// Writes an OCI image archive (image-spec: image-layout.md) out of directories, without any container engine.
// Same input, same bytes. What goes into an image is decided by the callers.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from '../../rig/run.ts';

export type Architecture = 'amd64' | 'arm64';

/** One platform's image: a single layer that holds the whole file system. */
export interface OciImage {
  readonly architecture: Architecture;
  /** Directory whose content is the image's /. Modes and links are kept; owners become 0:0, times the epoch. */
  readonly rootfs: string;
  readonly config: OciImageConfig;
}

/** The keys and spelling of image-spec config.md. */
export interface OciImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface OciArchive {
  /** Of the index that covers all platforms. */
  readonly digest: string;
  readonly layers: readonly { readonly architecture: Architecture; readonly digest: string; readonly size: number }[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

const tarTimeoutMs = 300_000;

/**
 * Writes `file`, which holds `reference` ("localhost/name:tag") as an index with one manifest per image.
 * The file appears whole or not at all.
 */
export async function writeOciArchive(
  file: string,
  reference: string,
  images: readonly OciImage[],
): Promise<OciArchive> {
  const work = await mkdtemp(join(dirname(file), `.${basename(file)}-`));
  try {
    const layout = join(work, 'layout');
    await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
    const written = [];
    for (const image of images) written.push(await writeImage(layout, image));
    const index = await writeJsonBlob(layout, mediaTypes.index, {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: written.map(({ manifest, architecture }) => ({
        ...manifest,
        platform: { architecture, os: 'linux' },
      })),
    });
    await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(join(layout, 'index.json'), JSON.stringify(layoutIndex(index, reference)));
    await tar(layout, join(work, 'archive.tar'));
    await rename(join(work, 'archive.tar'), file);
    return {
      digest: index.digest,
      layers: written.map(({ architecture, layer }) => ({ architecture, digest: layer.digest, size: layer.size })),
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** containerd names the image by its own annotation, everyone else by the specification's. */
function layoutIndex(index: Descriptor, reference: string): unknown {
  const annotations = { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference };
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [{ ...index, annotations }] };
}

async function writeImage(
  layout: string,
  image: OciImage,
): Promise<{ architecture: Architecture; manifest: Descriptor; layer: Descriptor }> {
  const { architecture } = image;
  const layer = await writeLayer(layout, image.rootfs);
  const config = await writeJsonBlob(layout, mediaTypes.config, {
    architecture,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: [layer.digest] }, // the layer is not compressed: both digests are one
  });
  const manifest = await writeJsonBlob(layout, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: [layer],
  });
  return { architecture, manifest, layer };
}

async function writeLayer(layout: string, rootfs: string): Promise<Descriptor> {
  const unnamed = join(layout, 'blobs/sha256/layer');
  await tar(rootfs, unnamed);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(unnamed)) hash.update(chunk as Buffer);
  const hex = hash.digest('hex');
  const { size } = await stat(unnamed);
  await rename(unnamed, join(layout, 'blobs/sha256', hex));
  return { mediaType: mediaTypes.layer, digest: `sha256:${hex}`, size };
}

async function writeJsonBlob(layout: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(layout, 'blobs/sha256', hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

/** The directory itself is left out: the mode of a temporary directory must not become the mode of the image's /. */
async function tar(directory: string, file: string): Promise<void> {
  const reproducible = [
    '--format=posix',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
  ];
  const names = (await readdir(directory)).toSorted();
  await run('tar', ['--create', '--file', file, '--directory', directory, ...reproducible, '--', ...names], {
    timeoutMs: tarTimeoutMs,
  });
}
