import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../rig/run.ts';
import { writeOciArchive } from './oci-archive.ts';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Record<string, string>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'oci-archive-test-'));
  const rootfs = join(directory, 'rootfs');
  await mkdir(join(rootfs, 'bin'), { recursive: true });
  await mkdir(join(rootfs, 'tmp'));
  await chmod(join(rootfs, 'tmp'), 0o1777);
  await writeFile(join(rootfs, 'bin/tool'), 'tool');
  await chmod(join(rootfs, 'bin/tool'), 0o755);
  await symlink('tool', join(rootfs, 'bin/link'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const archive = (): string => join(directory, 'image.tar');
const image = (architecture: 'amd64' | 'arm64') =>
  ({ architecture, rootfs: join(directory, 'rootfs'), config: { Cmd: ['/bin/tool'] } }) as const;

async function unpack(): Promise<string> {
  const layout = join(directory, 'layout');
  await mkdir(layout);
  await run('tar', ['--extract', '--file', archive(), '--directory', layout]);
  return layout;
}

async function blob(layout: string, { digest, size }: Descriptor): Promise<Buffer> {
  const [algorithm = '', hex = ''] = digest.split(':');
  const bytes = await readFile(join(layout, 'blobs', algorithm, hex));
  expect(createHash(algorithm).update(bytes).digest('hex')).toBe(hex);
  expect(bytes.length).toBe(size);
  return bytes;
}

async function json<T>(layout: string, descriptor: Descriptor): Promise<T> {
  return JSON.parse((await blob(layout, descriptor)).toString()) as T;
}

describe('an OCI archive', () => {
  it('leads from its index over every digest and size to the files of each platform', async () => {
    const written = await writeOciArchive(archive(), 'localhost/thing:1', [image('amd64'), image('arm64')]);
    const layout = await unpack();

    expect(JSON.parse(await readFile(join(layout, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
    const top = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: [Descriptor] };
    const [entry] = top.manifests;
    expect(entry.digest).toBe(written.digest);
    expect(entry.annotations).toEqual({
      'io.containerd.image.name': 'localhost/thing:1',
      'org.opencontainers.image.ref.name': 'localhost/thing:1',
    });
    const index = await json<{ manifests: Descriptor[] }>(layout, entry);
    expect(index.manifests.map(({ platform }) => platform)).toEqual([
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ]);
    for (const platform of index.manifests) {
      const manifest = await json<{ config: Descriptor; layers: [Descriptor] }>(layout, platform);
      const config = await json<{ architecture: string; rootfs: { diff_ids: string[] } }>(layout, manifest.config);
      expect(config).toMatchObject({ architecture: platform.platform?.architecture, config: { Cmd: ['/bin/tool'] } });
      expect(config.rootfs.diff_ids).toEqual([manifest.layers[0].digest]);
      await blob(layout, manifest.layers[0]);
    }
  });

  it('keeps modes and links, owns everything by root, and has no entry for / itself', async () => {
    const { layers } = await writeOciArchive(archive(), 'localhost/thing:1', [image('amd64')]);
    const layer = join(await unpack(), 'blobs', layers[0]?.digest.replace(':', '/') ?? '');
    const { stdout } = await run('tar', ['--list', '--verbose', '--numeric-owner', '--file', layer]);
    const entries = stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [mode, owner, , , , ...name] = line.split(/\s+/);
        return `${mode} ${owner} ${name.join(' ')}`;
      });
    expect(entries).toEqual([
      'drwxr-xr-x 0/0 bin/',
      'lrwxrwxrwx 0/0 bin/link -> tool',
      '-rwxr-xr-x 0/0 bin/tool',
      'drwxrwxrwt 0/0 tmp/',
    ]);
  });

  it('is the same to the byte when it is written again', async () => {
    await writeOciArchive(archive(), 'localhost/thing:1', [image('amd64')]);
    const first = await readFile(archive());
    await writeOciArchive(archive(), 'localhost/thing:1', [image('amd64')]);
    expect(first.equals(await readFile(archive()))).toBe(true);
  });

  it('is not there at all when its files cannot be read', async () => {
    const missing = { ...image('amd64'), rootfs: join(directory, 'nowhere') };
    await expect(writeOciArchive(archive(), 'localhost/thing:1', [missing])).rejects.toThrow('nowhere');
    expect(await readdir(directory)).toEqual(['rootfs']);
  });
});
