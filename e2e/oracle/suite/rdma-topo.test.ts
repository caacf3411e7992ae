// driver-core against rdma_topo, which others wrote for the same question.
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { FIXTURE_NAMES, loadFixture } from '@data-direct/driver-core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

import { parseFixture } from '../../../driver-core/src/virtual/fixture.ts';
import { build } from '../rdma-topo/build.ts';
import { compare, type Comparison } from '../rdma-topo/compare.ts';
import { anyMachine, type Machine } from '../rdma-topo/description.ts';
import type { Difference } from '../rdma-topo/differences.ts';
import { isRefusal } from '../rdma-topo/interview.ts';
import { RdmaTopo } from '../rdma-topo/process.ts';
import { type Rule, TOLERATED } from '../rdma-topo/tolerated.ts';

/** More of them, or others: ORACLE_MACHINES=3000 ORACLE_SEED=7 make e2e-oracle. */
const MACHINES = Number(process.env['ORACLE_MACHINES'] ?? 300);
const SEED = Number(process.env['ORACLE_SEED'] ?? 20_261_122);

let rdmaTopo: RdmaTopo;
const used = new Set<Rule>();

beforeAll(() => {
  const { path, from } = inject('oracles')['rdma-topo'];
  console.log(`rdma_topo of ${from.name} ${from.version}`);
  rdmaTopo = new RdmaTopo(path);
});
afterAll(() => rdmaTopo.close());

/** Differences that no rule tolerates. */
function untolerated({ differences, functions }: Comparison): Difference[] {
  return differences.filter((difference) => {
    const rule = TOLERATED.find(({ kind, applies }) => kind === difference.kind && applies(difference, functions));
    if (rule) used.add(rule);
    return !rule;
  });
}

describe('rdma_topo and driver-core say the same', () => {
  test.each(FIXTURE_NAMES)('of %s', async (name) => {
    const comparison = await compare(rdmaTopo, await loadFixture(name));
    expect(complexesByKind(comparison)).not.toEqual({});
    expect(untolerated(comparison)).toEqual([]);
  });

  test(`of ${MACHINES} generated machines`, async () => {
    const tally: Record<string, number> = {};
    const agrees = fc.asyncProperty(anyMachine, async (machine) => {
      const comparison = await compare(rdmaTopo, parseFixture('generated', build(machine)));
      for (const [kind, count] of Object.entries(complexesByKind(comparison))) tally[kind] = (tally[kind] ?? 0) + count;
      expect(untolerated(comparison)).toEqual([]);
    });
    const outcome = await fc.check(agrees, { numRuns: MACHINES, seed: SEED });
    if (outcome.failed) throw new Error(await report(outcome));
    console.log(`compared in ${MACHINES} machines (seed ${SEED}):`, tally);
    // A generator whose machines rdma_topo mostly refuses would compare nothing.
    for (const kind of ['data direct', 'inline', 'numa', 'refused'])
      expect(tally[kind] ?? 0).toBeGreaterThanOrEqual(MACHINES / 20);
  });
});

test('every tolerated difference is needed, and none is about a pair', () => {
  expect(TOLERATED.length).toBeLessThanOrEqual(5);
  expect(TOLERATED.filter((rule) => !used.has(rule)).map(({ name }) => name)).toEqual([]);
  expect(TOLERATED.map(({ kind }) => kind as string)).not.toContain('pair');
});

function complexesByKind({ opinions }: Comparison): Record<string, number> {
  const kinds = opinions.flatMap(({ answer }): string[] =>
    isRefusal(answer) ? [answer.kind] : answer.map(({ kind }) => kind),
  );
  return Object.fromEntries([...Map.groupBy(kinds, (kind) => kind)].map(([kind, all]) => [kind, all.length]));
}

/** The smallest machine that still fails, also as a dump that both programs take with --from and -F. */
async function report(outcome: fc.RunDetails<[Machine]>): Promise<string> {
  const [machine] = outcome.counterexample ?? [];
  if (!machine) return fc.defaultReportMessage(outcome) ?? 'no counterexample';
  const directory = fileURLToPath(new URL('../../../build/oracle', import.meta.url));
  const file = `${directory}/disagreement.json`;
  await mkdir(directory, { recursive: true });
  await writeFile(file, JSON.stringify(build(machine)));
  return `${fc.defaultReportMessage(outcome)}\nthe machine is in ${file}`;
}
