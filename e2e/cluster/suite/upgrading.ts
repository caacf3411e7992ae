// Chapter: `helm upgrade` brings a changed CRD and a changed agent, and running pods keep what they have.
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { chartDirectory, installRelease } from '../release.ts';
import { createPod, deletePod, given, readPod } from './pods.ts';
import { comesTrue, expectAllocatable, policyNamed, type World } from './world.ts';
import { POLICY } from './installing.ts';

export function upgrading(world: () => World): void {
  describe('helm upgrade', () => {
    let nextChart: string | undefined;
    afterAll(async () => {
      if (nextChart !== undefined) await rm(nextChart, { recursive: true });
    });

    test('a newer chart with a changed CRD upgrades the CRD', async () => {
      await createPod(world(), 'through-upgrade', 4);
      await given(world(), 'through-upgrade');
      nextChart = await chartWithChangedCrd();
      await installRelease(world().cluster, { chart: nextChart, values: { logLevel: 'debug' } });
      await comesTrue('the CRD has the new field', async () => {
        const crd = await world().extensions.readCustomResourceDefinition({ name: 'datadirectpaths.datadirect.dev' });
        expect(JSON.stringify(crd.spec.versions[0]?.schema)).toContain('addedByTheUpgrade');
      });
    });

    test('policy, capacity and the running pod are as before', async () => {
      await expectAllocatable(world(), 4);
      expect((await policyNamed(world(), POLICY)).status?.paths).toMatchObject({ total: 4, ready: 4 });
      const pod = await readPod(world(), 'through-upgrade');
      expect(pod.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
      await deletePod(world(), 'through-upgrade');
    });
  });
}

/** The next version of the chart: one more field in DataDirectPath.spec. */
async function chartWithChangedCrd(): Promise<string> {
  const chart = await mkdtemp(join(tmpdir(), 'data-direct-chart-'));
  await cp(chartDirectory, chart, { recursive: true });
  const crds = join(chart, 'files/crds');
  for (const name of await readdir(crds)) {
    const text = await readFile(join(crds, name), 'utf8');
    const changed = text.replace(
      /^( +)resourceName:$/m,
      (line, indent: string) => `${indent}addedByTheUpgrade:\n${indent}  type: string\n${line}`,
    );
    await writeFile(join(crds, name), changed);
  }
  return chart;
}
