// Chapter: kubelet, agent and operator go and come back; running pods and capacity do not suffer.
import { describe, expect, test } from 'vitest';

import { status as statusOfRig } from '../cluster.ts';
import { mainProcess } from './container-process.ts';
import { cutConnections } from './cut-connections.ts';
import { figure, spread } from './figures.ts';
import { POLICY } from './installing.ts';
import { AllocatableDevices } from './kubelet-view.ts';
import { containerOf, createPod, deletePod, given } from './pods.ts';
import { startSecondAgent } from './second-agent.ts';
import {
  agentPod,
  comesTrue,
  expectAllocatable,
  followedAt,
  isReady,
  NAMESPACE,
  nodeObject,
  operatorPod,
  policyNamed,
  type World,
} from './world.ts';

const OWN_SOCKETS = '/var/lib/kubelet/device-plugins/datadirect';
const AGENT_RESTARTS = 3;
const CUTS = 5;

export function restarting(world: () => World): void {
  describe('restarts', () => {
    test('a pod holds two paths', async () => {
      await createPod(world(), 'holder', 2);
      await given(world(), 'holder');
    });

    test('the kubelet restarts: capacity comes back, the pod runs on', async () => {
      const before = await containerOf(world(), 'holder');
      await world().cluster.kubelet.restart();
      const started = performance.now();
      // Asked of the new kubelet: the Node object says 4 from before.
      const view = new AllocatableDevices(world());
      await comesTrue('the kubelet holds all devices for healthy', async () => expect(await view.count()).toBe(4));
      view.close();
      figure('kubelet restarted → it has 4 devices again', `${Math.round(performance.now() - started)} ms`);
      await expectAllocatable(world(), 4);
      expect(await containerOf(world(), 'holder')).toEqual(before);
    });

    test('the agent is replaced: the kubelet gets no list before a complete one, the pod runs on', async () => {
      const before = await containerOf(world(), 'holder');
      const pathsBefore = await pathIds();
      const view = new AllocatableDevices(world());
      const gaps: number[] = [];
      for (let restart = 0; restart < AGENT_RESTARTS; restart += 1) {
        const [{ counts, ms }] = await Promise.all([view.gap(4), replaceAgent()]);
        expect(counts.filter((count) => count !== 0 && count !== 4)).toEqual([]);
        gaps.push(ms);
      }
      view.close();
      figure('agent replaced → the kubelet has no devices for', spread(gaps));
      await expectAllocatable(world(), 4);
      expect(await pathIds()).toEqual(pathsBefore);
      expect(await containerOf(world(), 'holder')).toEqual(before);
      await comesTrue('the allocation is still known', async () => {
        const { status } = await nodeObject(world());
        expect(status?.resources?.[0]).toMatchObject({ capacity: 4, healthy: 4, allocated: 2 });
      });
    });

    test('the kubelet’s stream breaks: the agent registers again, though the kubelet would never ask', async () => {
      const view = new AllocatableDevices(world());
      const agent = await mainProcess(await agentPod(world()));
      const kubelet = (await statusOfRig()).components.find(({ name }) => name === 'kubelet')?.pid ?? 0;
      const times: number[] = [];
      for (let cut = 0; cut < CUTS; cut += 1) {
        const at = Date.now();
        expect(await cutConnections(kubelet, agent, OWN_SOCKETS)).toBeGreaterThan(0);
        await comesTrue('the kubelet follows the agent again', async () => {
          const followed = (await followedAt(world())).find((moment) => moment >= at);
          if (followed === undefined) throw new Error('not yet');
          times[cut] = followed - at;
          expect(await view.count()).toBe(4);
        });
      }
      view.close();
      figure('stream to the kubelet cut → followed again', spread(times));
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
      await comesTrue('a new operator is ready and leads', async () => {
        const pod = await operatorPod(world());
        expect(pod.metadata?.uid).not.toBe(old.metadata?.uid);
        expect(isReady(pod)).toBe(true);
        const lease = await world().leases.readNamespacedLease({
          name: 'data-direct-operator',
          namespace: NAMESPACE,
        });
        expect(lease.spec?.holderIdentity).toContain(pod.metadata?.name);
      });
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

  /** As a rollout of the DaemonSet does. */
  async function replaceAgent(): Promise<void> {
    const old = await agentPod(world());
    await world().core.deleteNamespacedPod({ name: old.metadata?.name ?? '', namespace: NAMESPACE });
    await comesTrue('a new agent is ready', async () => {
      const pod = await agentPod(world());
      expect(pod.metadata?.uid).not.toBe(old.metadata?.uid);
      expect(isReady(pod)).toBe(true);
    });
  }

  async function pathIds(): Promise<string[] | undefined> {
    return (await nodeObject(world())).status?.paths?.map(({ id }) => id);
  }
}
