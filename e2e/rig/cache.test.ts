import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildIntoCache, cacheName, cacheRoot, isCached, removeUnfinished } from './cache.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cache-test-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe('the cache', () => {
  it('is where DATA_DIRECT_CACHE says, else below XDG_CACHE_HOME, else below ~/.cache', () => {
    expect(cacheRoot({ DATA_DIRECT_CACHE: '/a', XDG_CACHE_HOME: '/b' }, 'cluster')).toBe('/a/cluster');
    expect(cacheRoot({ XDG_CACHE_HOME: '/b' }, 'cluster')).toBe('/b/data-direct/cluster');
    expect(cacheRoot({}, 'cluster')).toMatch(/\/\.cache\/data-direct\/cluster$/);
  });

  it('keeps a part under another name as soon as one input differs', () => {
    const name = cacheName('etcd', '3.6.5', ['a', 'b']);
    expect(name).toMatch(/^etcd-3\.6\.5-[0-9a-f]{12}$/);
    expect(cacheName('etcd', '3.6.5', ['a', 'b'])).toBe(name);
    expect(cacheName('etcd', '3.6.5', ['ab'])).not.toBe(name);
    expect(cacheName('etcd', '3.6.5', ['a', 'c'])).not.toBe(name);
  });

  it('shows a part only once it is built', async () => {
    await buildIntoCache(root, 'part', async (directory) => {
      await writeFile(join(directory, 'program'), 'x');
      expect(await isCached(root, 'part')).toBe(false);
    });
    expect(await isCached(root, 'part')).toBe(true);
    expect(await readFile(join(root, 'part/program'), 'utf8')).toBe('x');
  });

  it('holds nothing of a build that failed', async () => {
    const build = buildIntoCache(root, 'part', async (directory) => {
      await writeFile(join(directory, 'half'), 'x');
      throw new Error('no compiler');
    });
    await expect(build).rejects.toThrow('no compiler');
    expect(await readdir(root)).toEqual([]);
  });

  it('loses what a killed build left, and nothing else', async () => {
    await mkdir(join(root, '.unfinished-abc/deep'), { recursive: true });
    await mkdir(join(root, 'part'));
    await removeUnfinished(root);
    expect(await readdir(root)).toEqual(['part']);
  });
});
