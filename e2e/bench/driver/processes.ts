// Whole processes, one after the other and in turn, so that what else goes on on the machine falls on all of them alike.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type Command = readonly [string, ...string[]];

export interface Times {
  /** One a run. */
  readonly milliseconds: readonly number[];
  /** Of processor time, on average. */
  readonly processorMs: number;
}

/** In clock ticks (man 5 proc_pid_stat: USER_HZ), which are 10 ms on every Linux. */
const TICK_MS = 10;

export function timed<Name extends string>(
  commands: Readonly<Record<Name, Command>>,
  runs: number,
): Record<Name, Times> {
  const names = Object.keys(commands) as Name[];
  const milliseconds = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  const ticks = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  // The first time warms the page cache.
  for (const name of names) output(commands[name]);
  for (let run = 0; run < runs; run++) {
    for (const name of names) {
      const ticksBefore = childTicks();
      const began = performance.now();
      output(commands[name]);
      milliseconds[name].push(performance.now() - began);
      ticks[name] += childTicks() - ticksBefore;
    }
  }
  const timesOf = (name: Name): Times => ({
    milliseconds: milliseconds[name],
    processorMs: (ticks[name] * TICK_MS) / runs,
  });
  return Object.fromEntries(names.map((name) => [name, timesOf(name)])) as Record<Name, Times>;
}

/** What it prints; throws where it fails. */
export function output([program, ...words]: Command): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[program, ...words].join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** Of all children that have ended: cutime and cstime of /proc/self/stat. */
function childTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , , , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(user) + Number(system);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
