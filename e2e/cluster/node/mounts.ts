// What is mounted where (man 5 proc, /proc/self/mountinfo), and taking it away again.

import { readFile } from 'node:fs/promises';
import { run } from '../../rig/run.ts';
import { clusterError } from '../errors.ts';

export interface Mount {
  readonly path: string;
  readonly type: string;
}

/** Mounts at or below a directory, later ones last. */
export async function mountsOf(directory: string): Promise<Mount[]> {
  const mounts = parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.filter(({ path }) => path === directory || path.startsWith(`${directory}/`));
}

export function parseMountInfo(text: string): Mount[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      return { path: unescape(before.split(' ')[4] ?? ''), type: after.split(' ')[0] ?? '' };
    });
}

/** Blank, tab, newline and backslash are written as three octal digits. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Lazily, because a dying process may still be inside; the last mounted first, because later mounts lie on earlier ones. */
export async function unmountBelow(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    for (const { path } of (await mountsOf(directory)).toReversed()) await run('umount', ['--lazy', path]);
  }
  const left = (await Promise.all(directories.map(mountsOf))).flat();
  if (left.length > 0) throw clusterError('STILL_MOUNTED', { mounts: left.map(({ path }) => path).join(', ') });
}
