// Takes an image out of an OCI archive, ours or another builder's, as a container runtime would.

import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from './architectures.ts';
import type { OciImageConfig } from './oci.ts';
import { run } from './run.ts';

export interface UnpackedImage {
  /** The image's /. */
  readonly root: string;
  readonly config: OciImageConfig;
}

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly platform?: { readonly architecture: string } }[];
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

/** `work` is an empty directory. */
export async function unpackImage(archive: string, architecture: Architecture, work: string): Promise<UnpackedImage> {
  const layout = join(work, 'layout');
  const root = join(work, 'root');
  await mkdir(layout);
  await mkdir(root);
  await chmod(root, 0o755); // whatever the umask: the image's user must get in
  await extract(archive, layout);
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const [top] = (await json<Index>(join(layout, 'index.json'))).manifests;
  const { manifests } = await json<Index>(blob(top?.digest ?? ''));
  const ours = manifests.find(({ platform }) => platform?.architecture === architecture);
  const { layers, config } = await json<Manifest>(blob(ours?.digest ?? ''));
  for (const { digest } of layers) await extract(blob(digest), root);
  return { root, config: (await json<{ config: OciImageConfig }>(blob(config.digest))).config };
}

/** tar finds out by itself whether a file is compressed. */
async function extract(file: string, directory: string): Promise<void> {
  await run('tar', ['--extract', '--file', file, '--directory', directory]);
}

async function json<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, 'utf8')) as T;
}
