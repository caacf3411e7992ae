import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { versions } from '../versions.ts';
import { goBuildArguments, goParts } from './go.ts';

const pinned = [
  ['kubernetes', 'k8s.io/kubernetes', versions.kubernetes],
  ['etcd', 'go.etcd.io/etcd/server/v3', versions.etcd],
  ['containerd', 'github.com/containerd/containerd/v2', versions.containerd],
] as const;

const goMod = (folder: string): Promise<string> => readFile(join(import.meta.dirname, folder, 'go.mod'), 'utf8');

describe('the Go parts', () => {
  it.each(pinned)('%s is pinned by go.mod to the version of the table', async (folder, module, version) => {
    const found = new RegExp(`^\\s*(?:require )?${module} v(\\S+)`, 'm').exec(await goMod(folder))?.[1];
    expect(found).toBe(version);
  });

  it('takes every staging module of Kubernetes from the same release', async () => {
    const replaced = [...(await goMod('kubernetes')).matchAll(/^\t(k8s\.io\/\S+) => (\S+) v(\S+)$/gm)];
    expect(replaced.length).toBeGreaterThan(30);
    for (const [, from, to, version] of replaced) {
      expect(to).toBe(from);
      expect(version).toBe(versions.kubernetes.replace(/^1/, '0'));
    }
  });

  it('become another cache entry when go.sum changes', async () => {
    for (const part of goParts) {
      expect(await part.inputs()).toContain(await readFile(join(import.meta.dirname, part.name, 'go.sum'), 'utf8'));
    }
  });

  it('passes variables to the linker in one argument, and never changes go.mod', () => {
    const part = {
      name: 'etcd',
      version: '1',
      packages: { a: 'x/a', b: 'x/b' },
      tags: ['t', 'u'],
      variables: { 'x.v': '1' },
    } as const;
    expect(goBuildArguments(part, 'out/')).toEqual([
      'build',
      '-v',
      '-mod=readonly',
      '-trimpath',
      '-buildvcs=false',
      '-tags=t,u',
      '-ldflags=-s -w -X x.v=1',
      '-o=out/',
      'x/a',
      'x/b',
    ]);
  });
});
