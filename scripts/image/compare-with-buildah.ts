// Shows that we read the Dockerfile rightly: buildah builds it, too, and must come to the same files and the same
// configuration as the archive that `make image` has written. Run by hand, as root: buildah is no dependency of ours.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { allArchitectures, type Architecture } from './architectures.ts';
import { BuildError, runToEnd } from './errors.ts';
import { imageDirectory } from './rootfs.ts';
import { run } from './run.ts';
import { type UnpackedImage, unpackImage } from './unpack.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

async function main(): Promise<void> {
  for (const architecture of allArchitectures) {
    const work = await mkdtemp(join(tmpdir(), 'data-direct-buildah-'));
    try {
      await compare(architecture, work);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
}

async function compare(architecture: Architecture, work: string): Promise<void> {
  const [ourWork, theirWork] = [join(work, 'ours'), join(work, 'theirs')];
  await Promise.all([mkdir(ourWork), mkdir(theirWork)]);
  const ours = await unpackImage(join(imageDirectory, 'data-direct.oci.tar'), architecture, ourWork);
  const archive = await buildWithBuildah(architecture, ours.config.Labels ?? {}, work);
  const [our, their] = [await facts(ours), await facts(await unpackImage(archive, architecture, theirWork))];
  const differing = [...our.filter((line) => !their.includes(line)), ...their.filter((line) => !our.includes(line))];
  if (differing.length > 0) throw new BuildError('IMAGES_DIFFER', { architecture, differing });
  console.log(`linux/${architecture}: buildah makes the same image (${our.length} facts compared)`);
}

/** With storage of its own: nothing is left on the machine. */
async function buildWithBuildah(
  architecture: Architecture,
  labels: Readonly<Record<string, string>>,
  work: string,
): Promise<string> {
  const archive = join(work, 'buildah.oci.tar');
  const storage = ['--storage-driver=vfs', `--root=${join(work, 'storage')}`, `--runroot=${join(work, 'run')}`];
  const buildah = (...args: string[]): Promise<string> => run('buildah', [...storage, ...args], { cwd: checkout });
  const args = {
    VERSION: labels['org.opencontainers.image.version'],
    REVISION: labels['org.opencontainers.image.revision'],
  };
  const buildArguments = Object.entries(args).map(([name, value]) => `--build-arg=${name}=${value}`);
  const platform = [`--platform=linux/${architecture}`, '--manifest=compared'];
  await buildah('build', '--isolation=chroot', '--layers', ...platform, ...buildArguments, '.');
  await buildah('manifest', 'push', '--all', 'compared', `oci-archive:${archive}`);
  return archive;
}

/** One line for each thing that must be equal. Left out: what buildah adds of its own, its version and the usual PATH. */
async function facts({ root, config }: UnpackedImage): Promise<string[]> {
  const { 'io.buildah.version': _, ...labels } = config.Labels ?? {};
  const configured = { User: config.User, Entrypoint: config.Entrypoint, Cmd: config.Cmd, ...labels };
  const nodes = await run('find', [root, '-mindepth', '1', '-printf', '%P: %y %m %U:%G %l\n']);
  const contents = await run('find', ['.', '-type', 'f', '-exec', 'sha256sum', '{}', '+'], { cwd: root });
  const lines = [
    ...Object.entries(configured).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
    nodes,
    contents,
  ];
  return lines.flatMap((text) => text.trim().split('\n'));
}

await runToEnd(main);
