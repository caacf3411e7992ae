// The virtual tray as files, for an agent that thinks it is on real hardware: a /sys of its own, and the uverbs nodes in the machine's /dev.
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { runVirtual } from '@data-direct/driver-core';

import { run } from '../../rig/run.ts';
import { layout } from '../node/layout.ts';

const nodes = '/dev/infiniband';

export interface WrittenTray {
  readonly sysfs: string;
  remove(): Promise<void>;
}

/** Device numbers are those that the kernel gives to uverbs nodes. What the machine has of them stays as it is. */
export async function writeTray(fixture: string): Promise<WrittenTray> {
  const sysfs = join(layout.home, 'tray/sys'); // goes with the cluster at the latest
  await rm(sysfs, { recursive: true, force: true });
  await mkdir(dirname(sysfs), { recursive: true });
  const problems: string[] = [];
  const streams = { out: () => undefined, err: (line: string) => void problems.push(line) };
  const code = await runVirtual(['--fixture', fixture, 'materialise', sysfs], streams);
  if (code !== 0) throw new Error(problems.join('\n'));
  const wanted = await nodesOf(sysfs);
  await mkdir(nodes, { recursive: true });
  for (const { path, major, minor } of wanted)
    if (!existsSync(path)) await run('mknod', ['--mode=0666', path, 'c', major, minor]);
  return {
    sysfs,
    async remove() {
      for (const node of wanted) if (!hasDriver(node)) await rm(node.path, { force: true });
      if ((await readdir(nodes)).length === 0) await rmdir(nodes);
      await rm(sysfs, { recursive: true });
    },
  };
}

interface DeviceNode {
  readonly path: string;
  readonly major: string;
  readonly minor: string;
}

async function nodesOf(sysfs: string): Promise<DeviceNode[]> {
  const listed = join(sysfs, 'class/infiniband_verbs');
  const names = (await readdir(listed)).filter((entry) => entry.startsWith('uverbs'));
  return Promise.all(
    names.map(async (name) => {
      const [major = '', minor = ''] = (await readFile(join(listed, name, 'dev'), 'utf8')).trim().split(':');
      return { path: join(nodes, name), major, minor };
    }),
  );
}

/** Such a node is the machine's own. One without may also be of a run that was killed. */
function hasDriver({ major, minor }: DeviceNode): boolean {
  return existsSync(`/sys/dev/char/${major}:${minor}`);
}
