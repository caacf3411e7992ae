// Chapter: `helm upgrade` brings a changed CRD and a changed agent, and running pods keep what they have.
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { installRelease } from '../release.ts';
import { type ChangedChart, changedChart } from './changed-chart.ts';
import { createPod, deletePod, given, readPod } from './pods.ts';
import { agentMetrics, CDI_FILE, comesTrue, expectAllocatable, NAMESPACE, policyNamed, type World } from './world.ts';
import { POLICY } from './installing.ts';

export function upgrading(world: () => World): void {
  describe('helm upgrade', () => {
    let nextChart: ChangedChart;
    beforeAll(async () => {
      nextChart = await changedChart({ 'files/crds/datadirectpaths.datadirect.dev.yaml': withOneMoreField });
    });
    afterAll(() => nextChart.remove());

    test('a newer chart with a changed CRD upgrades the CRD', async () => {
      await createPod(world(), 'through-upgrade', 4);
      await given(world(), 'through-upgrade');
      const values = { logLevel: 'debug', 'agent.rdmaCore.mount': true };
      await installRelease(world().cluster, { chart: nextChart.directory, values });
      await comesTrue('the CRD has the new field', async () => {
        const crd = await world().extensions.readCustomResourceDefinition({ name: 'datadirectpaths.datadirect.dev' });
        expect(JSON.stringify(crd.spec.versions[0]?.schema)).toContain('addedByTheUpgrade');
      });
    });

    test('a node whose rdma-core needs a newer glibc than images have lends nothing, and says so', async () => {
      await comesTrue('the metric counts it', async () => {
        expect(await agentMetrics(world())).toMatch(/data_direct_troubles_total\{part="rdma-core",[^}]*\} [1-9]/);
      });
      const { stdout } = await world().cluster.kubectl([
        'logs',
        '--namespace',
        NAMESPACE,
        'daemonset/data-direct-agent',
      ]);
      expect(stdout).toMatch(/"part":"rdma-core".*needs glibc 2\.38.*containers keep the rdma-core of their images/);
      expect(readFileSync(CDI_FILE, 'utf8')).not.toContain('mounts');
    });

    test('policy, capacity and the running pod are as before', async () => {
      await expectAllocatable(world(), 4);
      await comesTrue('the policy is ready', async () => {
        expect((await policyNamed(world(), POLICY)).status?.paths).toMatchObject({ total: 4, ready: 4 });
      });
      const pod = await readPod(world(), 'through-upgrade');
      expect(pod.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
      await deletePod(world(), 'through-upgrade');
    });
  });
}

/** In DataDirectPath.spec. */
function withOneMoreField(crd: string): string {
  return crd.replace(
    /^( +)resourceName:$/m,
    (line, indent: string) => `${indent}addedByTheUpgrade:\n${indent}  type: string\n${line}`,
  );
}
