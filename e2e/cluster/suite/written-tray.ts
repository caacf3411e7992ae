// The virtual tray as files, for an agent that thinks it is on real hardware: a /sys of its own, and the uverbs nodes in the machine's /dev.
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

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
  const problems: string[] = [];
  const streams = { out: () => undefined, err: (line: string) => void problems.push(line) };
  const code = await runVirtual(['--fixture', fixture, 'materialise', sysfs], streams);
  if (code !== 0) throw new Error(problems.join('\n'));
  const made = await makeNodes(sysfs);
  return {
    sysfs,
    async remove() {
      for (const node of made) await rm(node);
      if (existsSync(nodes) && (await readdir(nodes)).length === 0) await rmdir(nodes);
      await rm(sysfs, { recursive: true });
    },
  };
}

async function makeNodes(sysfs: string): Promise<string[]> {
  const made: string[] = [];
  await mkdir(nodes, { recursive: true });
  const listed = join(sysfs, 'class/infiniband_verbs');
  for (const name of (await readdir(listed)).filter((entry) => entry.startsWith('uverbs'))) {
    const node = join(nodes, name);
    if (existsSync(node)) continue;
    const [major = '', minor = ''] = (await readFile(join(listed, name, 'dev'), 'utf8')).trim().split(':');
    await run('mknod', ['--mode=0666', node, 'c', major, minor]);
    made.push(node);
  }
  return made;
}
