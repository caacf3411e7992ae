import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OciImage, writeArchive, writeImage, writeImageArchive } from './oci.ts';
import { run } from './run.ts';
import { unpackImage } from './unpack.ts';

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'oci-'));
});
afterEach(() => {
  rmSync(work, { recursive: true });
});

/** A directory of its own with these files in it. */
function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(work, 'tree-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function image(...layers: readonly string[]): OciImage {
  return {
    architecture: 'amd64',
    layers,
    config: { User: '65532:65532', Cmd: ['/a'] },
    created: '2026-01-02T03:04:05Z',
  };
}

async function layoutOf(archive: string): Promise<string> {
  const layout = mkdtempSync(join(work, 'layout-'));
  await run('tar', ['--extract', '--file', archive, '--directory', layout]);
  return layout;
}

function json(layout: string, file: string): Record<string, never> {
  return JSON.parse(readFileSync(join(layout, file), 'utf8')) as Record<string, never>;
}

describe('an image archive', () => {
  test('gives back what was put in: files of every layer, modes, links, configuration', async () => {
    const lower = tree({ 'bin/node': 'program', 'etc/passwd': 'lower' });
    chmodSync(join(lower, 'bin/node'), 0o755);
    symlinkSync('node', join(lower, 'bin/link'));
    const upper = tree({ 'etc/passwd': 'upper', 'app/main.mjs': 'code' });
    const file = join(work, 'image.tar');
    await writeImageArchive(file, 'localhost/a:1', image(lower, upper));
    const { root, config } = await unpackImage(file, 'amd64', mkdtempSync(join(work, 'unpacked-')));
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toBe('upper');
    expect(readFileSync(join(root, 'app/main.mjs'), 'utf8')).toBe('code');
    expect(readFileSync(join(root, 'bin/link'), 'utf8')).toBe('program');
    expect(statSync(join(root, 'bin/node')).mode & 0o777).toBe(0o755);
    expect(config).toEqual({ User: '65532:65532', Cmd: ['/a'] });
  });

  test('is the same, byte for byte, however and whenever the same files came to be', async () => {
    const first = tree({ a: '1', 'b/c': '2' });
    const second = tree({ 'b/c': '2', a: '1' });
    utimesSync(join(second, 'a'), 1, 1);
    for (const [name, root] of Object.entries({ first, second })) {
      await writeImageArchive(join(work, name), 'localhost/a:1', image(root));
    }
    expect(readFileSync(join(work, 'first')).equals(readFileSync(join(work, 'second')))).toBe(true);
  });

  test('belongs to root, whoever wrote it, keeps the sticky bit, and says nothing of / itself', async () => {
    const root = tree({ 'tmp/.keep': '' });
    chmodSync(join(root, 'tmp'), 0o1777);
    chownSync(join(root, 'tmp/.keep'), process.getuid?.() === 0 ? 1000 : -1, -1);
    const file = join(work, 'image.tar');
    const { layers } = await writeImageArchive(file, 'localhost/a:1', image(root));
    const layer = join(await layoutOf(file), 'blobs', layers[0]?.digest.replace(':', '/') ?? '');
    const listed = await run('tar', ['--list', '--verbose', '--numeric-owner', '--utc', '--file', layer]);
    const entries = listed
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
    expect(entries).toEqual(['drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/', '-rw-r--r-- 0/0 0 1970-01-01 00:00 tmp/.keep']);
  });

  test('names the image for containerd and for everyone else', async () => {
    const file = join(work, 'image.tar');
    await writeImageArchive(file, 'localhost/a:1', image(tree({ a: '1' })));
    const layout = await layoutOf(file);
    expect(json(layout, 'oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(json(layout, 'index.json')).toMatchObject({
      manifests: [
        {
          annotations: {
            'io.containerd.image.name': 'localhost/a:1',
            'org.opencontainers.image.ref.name': 'localhost/a:1',
          },
        },
      ],
    });
  });

  test('holds every blob under its own digest, and the uncompressed layer has the digest of the configuration', async () => {
    const file = join(work, 'image.tar');
    const { config, layers } = await writeImageArchive(file, 'localhost/a:1', image(tree({ a: '1' })));
    const layout = await layoutOf(file);
    const blobs = join(layout, 'blobs/sha256');
    for (const name of readdirSync(blobs)) {
      expect(
        createHash('sha256')
          .update(readFileSync(join(blobs, name)))
          .digest('hex'),
      ).toBe(name);
    }
    const [layer] = layers.map(({ digest }) => join(layout, 'blobs', digest.replace(':', '/')));
    const diffId = createHash('sha256')
      .update(gunzipSync(readFileSync(layer ?? '')))
      .digest('hex');
    expect(json(layout, join('blobs', config.digest.replace(':', '/')))).toMatchObject({
      created: '2026-01-02T03:04:05Z',
      rootfs: { diff_ids: [`sha256:${diffId}`] },
    });
  });

  test('of two architectures has one index that names both', async () => {
    const layout = mkdtempSync(join(work, 'layout-'));
    const root = tree({ a: '1' });
    const images = [
      await writeImage(layout, image(root)),
      await writeImage(layout, { ...image(root), architecture: 'arm64' }),
    ];
    const file = join(work, 'both.tar');
    const digest = await writeArchive(file, 'localhost/a:1', layout, images);
    const index = json(await layoutOf(file), join('blobs', digest.replace(':', '/')));
    expect(index).toMatchObject({
      manifests: [
        { platform: { os: 'linux', architecture: 'amd64' } },
        { platform: { os: 'linux', architecture: 'arm64' } },
      ],
    });
  });

  test('that cannot be written leaves no file', async () => {
    const file = join(work, 'image.tar');
    await expect(writeImageArchive(file, 'localhost/a:1', image(join(work, 'missing')))).rejects.toThrow('missing');
    expect(readdirSync(work)).toEqual([]);
  });
});
