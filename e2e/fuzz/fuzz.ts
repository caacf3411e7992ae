// Fuzzing driver-core for as long as one likes: `fuzz.ts --seconds 3600`. Each run makes cases that nobody has seen yet, and prints its seeds; the same cases
// each time, for a moment, are fuzz.test.ts. A failure prints the smallest case and how to see it again.

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Target } from './target.ts';
import { TARGETS } from './targets/index.ts';
import { Watched } from './watched.ts';
import type { Work } from './worker.ts';

/** Each target gets so much time before the next has its turn. */
const SLICE_MS = 5_000;
const MOST_SEED = 2 ** 31;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string' },
      target: { type: 'string', multiple: true },
      help: { type: 'boolean' },
    },
  });
  const chosen = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true);
  if (values.help || chosen.length === 0) {
    usage();
    return chosen.length === 0 ? 2 : 0;
  }
  const seed = values.seed === undefined ? randomInt(MOST_SEED) : Number(values.seed);
  const watched = new Watched(new URL('targets/index.ts', import.meta.url), TARGETS);
  try {
    return (await inTurns(watched, chosen, seed, Number(values.seconds))) ? 0 : 1;
  } finally {
    await watched.close();
  }
}

/** Each round with a seed of its own, until the time is up or something failed. */
async function inTurns(watched: Watched, targets: readonly Target[], seed: number, seconds: number): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  const slice = Math.min(SLICE_MS, (seconds * 1000) / targets.length);
  for (let round = 0; performance.now() < end; round++) {
    for (const each of targets) {
      const how = { seed: seed + round, cases: Number.MAX_SAFE_INTEGER, milliseconds: slice };
      if (performance.now() < end && !(await turn(watched, each, how))) return false;
    }
  }
  return true;
}

async function turn(watched: Watched, each: Target, how: Omit<Work, 'target'>): Promise<boolean> {
  const { cases, failure } = await watched.run({ target: each.name, ...how });
  const memory = `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`;
  const line = `${each.name.padEnd(14)} seed ${how.seed}  ${String(cases).padStart(7)} cases  ${memory.padStart(8)}  `;
  console.log(`${line}${failure === undefined ? 'ok' : `FAILED: it does not hold that ${each.holds}`}`);
  if (failure === undefined) return true;
  console.error(`${failure}\n\nagain: make fuzz FUZZ_SEED=${how.seed} FUZZ_TARGET=${each.name}\n`);
  return false;
}

function usage(): void {
  console.log('fuzz.ts [--seconds N] [--seed N] [--target NAME]…\n');
  for (const { name, holds } of TARGETS) console.log(`  ${name.padEnd(14)} ${holds}`);
}

process.exitCode = await main();
