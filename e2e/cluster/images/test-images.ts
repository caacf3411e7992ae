// The two images of the rig itself, both out of Debian's static busybox: the sandbox of every pod, and a shell for tests.

import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../rig/run.ts';
import { unpackPackage } from '../../rig/debian-install.ts';
import { hostArchitecture } from '../../../scripts/image/architectures.ts';
import { type OciImageConfig, writeImageArchive } from '../../../scripts/image/oci.ts';
import type { Part } from '../toolchain/parts.ts';

export interface TestImage {
  readonly archive: string;
  readonly reference: string;
  readonly config: OciImageConfig;
}

/** Has sh, ls, env, cat, sleep, wget … */
export const testImage: TestImage = {
  archive: 'data-direct-test.tar',
  reference: 'localhost/data-direct-test:1',
  config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
};

/** Holds a pod's namespaces; does nothing. */
export const sandboxImage: TestImage = {
  archive: 'pause.tar',
  reference: 'localhost/pause:1',
  config: { Entrypoint: ['/bin/busybox', 'sleep', 'infinity'] },
};

export const testImages: readonly TestImage[] = [sandboxImage, testImage];

export const testImagesPart: Part = {
  name: 'images',
  version: '1',
  about: `making ${testImages.map(({ reference }) => reference).join(' and ')}`,
  async inputs() {
    const sources = [import.meta.filename, fileURLToPath(import.meta.resolve('../../../scripts/image/oci.ts'))];
    return [process.arch, ...(await Promise.all(sources.map((file) => readFile(file, 'utf8'))))];
  },
  async build(directory, _step, signal) {
    const work = await mkdtemp(join(tmpdir(), 'data-direct-images-'));
    try {
      await unpackPackage('busybox-static', work, signal);
      const rootfs = join(work, 'rootfs');
      await makeRootfs(rootfs, join(work, 'bin/busybox'));
      const architecture = hostArchitecture();
      for (const { archive, reference, config } of testImages) {
        await writeImageArchive(join(directory, archive), reference, { architecture, layers: [rootfs], config });
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  },
};

async function makeRootfs(rootfs: string, busybox: string): Promise<void> {
  await mkdir(join(rootfs, 'bin'), { recursive: true });
  await mkdir(join(rootfs, 'tmp'));
  await chmod(join(rootfs, 'tmp'), 0o1777);
  await copyFile(busybox, join(rootfs, 'bin/busybox'));
  const { stdout } = await run(busybox, ['--list']);
  const applets = stdout.trim().split('\n');
  await Promise.all(
    applets.filter((name) => name !== 'busybox').map((name) => symlink('busybox', join(rootfs, 'bin', name))),
  );
}
