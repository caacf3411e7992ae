// Chapter: after `helm install` a policy is all that is needed.
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { figure } from './figures.ts';
import {
  agentPod,
  comesTrue,
  createPolicy,
  expectAllocatable,
  isReady,
  nodeObject,
  operatorPod,
  policyNamed,
  RESOURCE,
  type World,
} from './world.ts';

export const POLICY = 'gb300';
/** The operator waits a quarter of a second for more of what changed on a node, and the agent a second. */
const LONG_AFTER_SETTLING_MS = 3000;

export function installing(world: () => World): void {
  describe('helm install', () => {
    test('agent and operator become ready', async () => {
      await comesTrue('both pods are ready', async () => {
        expect(isReady(await agentPod(world()))).toBe(true);
        expect(isReady(await operatorPod(world()))).toBe(true);
      });
    });

    test('the agent has no host network and only the capability that virtual devices need', async () => {
      const pod = await agentPod(world());
      expect(pod.spec?.hostNetwork ?? false).toBe(false);
      const security = pod.spec?.containers[0]?.securityContext;
      expect(security?.privileged ?? false).toBe(false);
      expect(security?.capabilities).toEqual({ add: ['MKNOD'], drop: ['ALL'] });
    });

    test('without a policy nothing is advertised', async () => {
      const node = await world().core.readNode({ name: world().node });
      expect(Object.keys(node.status?.allocatable ?? {}).filter((name) => name.startsWith('datadirect.dev/'))).toEqual(
        [],
      );
    });

    test('a policy makes the node advertise four paths', async () => {
      const started = performance.now();
      await createPolicy(world(), POLICY, { resourceName: 'path' });
      await expectAllocatable(world(), 4);
      figure('policy created → node allocatable 4', `${Math.round(performance.now() - started)} ms`);
    });

    test('the BlueField that carries the default route is not taken', async () => {
      await comesTrue('the agent reports its paths', async () => {
        const { status } = await nodeObject(world());
        const taken = status?.paths?.filter((path) => path.resource === 'path').map((path) => path.name);
        expect(taken).toEqual(['mlx5_0', 'mlx5_1', 'mlx5_2', 'mlx5_3']);
      });
      const { status } = await nodeObject(world());
      const blueField = status?.paths?.find((path) => path.nic.model?.startsWith('BlueField'));
      expect(blueField).toBeDefined();
      expect(blueField?.resource).toBeUndefined();
    });

    test('the policy says where every path stands', async () => {
      await comesTrue('the policy is ready', async () => {
        const { status, metadata } = await policyNamed(world(), POLICY);
        expect(status).toMatchObject({
          observedGeneration: metadata.generation,
          nodes: { selected: 1, ready: 1, degraded: 0, notReporting: 0 },
          paths: { total: 4, ready: 4, degraded: 0, allocatable: 4 },
        });
        const conditions = Object.fromEntries((status?.conditions ?? []).map(({ type, status: s }) => [type, s]));
        expect(conditions).toMatchObject({ Accepted: 'True', Ready: 'True', Progressing: 'False' });
      });
    });

    test('every path is paired by the kernel’s word', async () => {
      const { status } = await nodeObject(world());
      for (const path of status?.paths?.filter((candidate) => candidate.resource === 'path') ?? []) {
        expect(path).toMatchObject({ state: 'Ready', reason: 'Paired', evidence: 'KernelIoctl', verified: 'Probe' });
        expect(path.dma?.address.split(':')[0]).not.toBe(path.id.split(':')[0]);
        expect(path.gpus).toHaveLength(1);
      }
    });

    test('the node carries a label by which pods can be placed', async () => {
      await comesTrue('the label is there', async () => {
        const node = await world().core.readNode({ name: world().node });
        expect(node.metadata?.labels?.[RESOURCE]).toBe('ready');
      });
    });

    test('kubectl get reads well', async () => {
      const { stdout: policies } = await world().cluster.kubectl(['get', 'ddp']);
      expect(policies.split('\n')[0]?.trim().split(/ {2,}/)).toEqual([
        'NAME',
        'RESOURCE',
        'DATA DIRECT',
        'NODES',
        'READY',
        'PATHS',
        'REASON',
        'AGE',
      ]);
      const { stdout: nodes } = await world().cluster.kubectl(['get', 'ddn']);
      const { stdout: described } = await world().cluster.kubectl(['describe', 'ddp', POLICY]);
      expect(described).toContain('AllPathsReady');
      console.log(
        `$ kubectl get ddp\n${policies}\n$ kubectl get ddn\n${nodes}\n$ kubectl describe ddp ${POLICY}\n${described}`,
      );
    });

    test('an idle system writes nothing', async () => {
      const read = async (): Promise<(string | undefined)[]> => {
        const [policy, node] = await Promise.all([policyNamed(world(), POLICY), nodeObject(world())]);
        return [policy.metadata.resourceVersion, node.metadata.resourceVersion];
      };
      const before = await read();
      await world().cluster.kubectl(['annotate', 'node', world().node, 'example.com/touched=1', '--overwrite']);
      await sleep(LONG_AFTER_SETTLING_MS);
      expect(await read()).toEqual(before);
    });
  });
}
