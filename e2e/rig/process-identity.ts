// Which process is meant: an id alone may meanwhile be another's.

import { readFile } from 'node:fs/promises';

/** Together they name one process within one boot. The start time is field 22 of /proc/PID/stat, in clock ticks. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export async function identityOf(pid: number): Promise<ProcessIdentity> {
  return { pid, startTime: parseStat(await readFile(`/proc/${pid}/stat`, 'utf8')).startTime };
}

/** A zombie has ended: only its parent has not asked yet. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return false;
  const found = parseStat(stat);
  return found.startTime === startTime && !'ZX'.includes(found.state);
}

/** The second field is the program's name in parentheses and may itself hold spaces and parentheses (man 5 proc). */
export function parseStat(stat: string): { state: string; startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[22 - 3] ?? '' };
}
