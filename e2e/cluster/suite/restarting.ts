// Chapter: kubelet, agent and operator go and come back; running pods and capacity do not suffer.
import { describe, expect, test } from 'vitest';

import { figure } from './figures.ts';
import { POLICY } from './installing.ts';
import { AllocatableDevices } from './kubelet-view.ts';
import { createPod, deletePod, given, readPod } from './pods.ts';
import { startSecondAgent } from './second-agent.ts';
import {
  agentPod,
  comesTrue,
  expectAllocatable,
  isReady,
  NAMESPACE,
  nodeObject,
  operatorPod,
  policyNamed,
  type World,
} from './world.ts';

export function restarting(world: () => World): void {
  describe('restarts', () => {
    test('a pod holds two paths', async () => {
      await createPod(world(), 'holder', 2);
      await given(world(), 'holder');
    });

    test('the kubelet restarts: capacity comes back, the pod runs on', async () => {
      const before = await containerOf('holder');
      const started = performance.now();
      await world().cluster.kubelet.restart();
      await expectAllocatable(world(), 4);
      figure('kubelet restarted → node allocatable 4', `${Math.round(performance.now() - started)} ms`);
      expect(await containerOf('holder')).toEqual(before);
    });

    test('the agent is killed: its successor serves the same paths, the pod runs on', async () => {
      const before = await containerOf('holder');
      const pathsBefore = await pathIds();
      const old = await agentPod(world());
      await world().core.deleteNamespacedPod({
        name: old.metadata?.name ?? '',
        namespace: NAMESPACE,
        gracePeriodSeconds: 0,
      });
      await comesTrue('a new agent is ready', async () => {
        const pod = await agentPod(world());
        expect(pod.metadata?.uid).not.toBe(old.metadata?.uid);
        expect(isReady(pod)).toBe(true);
      });
      await expectAllocatable(world(), 4);
      expect(await pathIds()).toEqual(pathsBefore);
      expect(await containerOf('holder')).toEqual(before);
      await comesTrue('the allocation is still known', async () => {
        const { status } = await nodeObject(world());
        expect(status?.resources?.[0]).toMatchObject({ capacity: 4, healthy: 4, allocated: 2 });
      });
    });

    test('two agents overlap: when one ends, the kubelet drops the other too, which registers again', async () => {
      const other = await startSecondAgent();
      const view = new AllocatableDevices(world());
      const pod = await agentPod(world());
      await other.end();
      await comesTrue('the kubelet holds all devices for healthy', async () => {
        const { stdout } = await world().cluster.kubectl(['logs', '--namespace', NAMESPACE, pod.metadata?.name ?? '']);
        expect(stdout).toContain('KUBELET_STREAM_MISSING');
        expect(await view.count()).toBe(4);
      });
      view.close();
    });

    test('the operator is killed: its successor takes the lead and changes nothing', async () => {
      const before = await policyNamed(world(), POLICY);
      const old = await operatorPod(world());
      await world().core.deleteNamespacedPod({
        name: old.metadata?.name ?? '',
        namespace: NAMESPACE,
        gracePeriodSeconds: 0,
      });
      await comesTrue(
        'a new operator is ready and leads',
        async () => {
          const pod = await operatorPod(world());
          expect(pod.metadata?.uid).not.toBe(old.metadata?.uid);
          expect(isReady(pod)).toBe(true);
          const lease = await world().leases.readNamespacedLease({
            name: 'data-direct-operator',
            namespace: NAMESPACE,
          });
          expect(lease.spec?.holderIdentity).toContain(pod.metadata?.name);
        },
        { seconds: 60 },
      );
      const after = await policyNamed(world(), POLICY);
      expect(after.metadata.generation).toBe(before.metadata.generation);
      expect(after.status?.paths).toEqual(before.status?.paths);
      await expectAllocatable(world(), 4);
    });

    test('a new pod is served as before', async () => {
      await createPod(world(), 'after', 2);
      const { devices } = await given(world(), 'after');
      expect(devices).toHaveLength(2);
      await deletePod(world(), 'after');
      await deletePod(world(), 'holder');
    });
  });

  /** What must not change while others restart: the very same container, never restarted. */
  async function containerOf(name: string): Promise<unknown> {
    const status = (await readPod(world(), name)).status?.containerStatuses?.[0];
    return { id: status?.containerID, restarts: status?.restartCount };
  }

  async function pathIds(): Promise<string[] | undefined> {
    return (await nodeObject(world())).status?.paths?.map(({ id }) => id);
  }
}
