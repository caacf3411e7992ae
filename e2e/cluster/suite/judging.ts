// Chapter: a container whose environment does not fit its paths is told to those who own its pod.
import { afterAll, afterEach, describe, expect, test } from 'vitest';

import { testImage } from '../images/test-images.ts';
import { figure } from './figures.ts';
import { POLICY } from './installing.ts';
import { createPod, deletePod, given } from './pods.ts';
import {
  agentMetrics,
  changePolicy,
  comesTrue,
  createPolicy,
  deletePolicy,
  eventsAbout,
  expectAllocatable,
  nodeObject,
  pathNamed,
  RESOURCE,
  virtual,
  type World,
} from './world.ts';

const OTHER = 'other-half';
const OTHER_RESOURCE = `datadirect.dev/${OTHER}`;
const STARTS = 20;

export function judging(world: () => World): void {
  const pods = new Set<string>();
  const gone = async (name: string): Promise<void> => {
    await deletePod(world(), name);
    pods.delete(name);
  };
  afterEach(async () => {
    for (const name of pods) await gone(name);
  });

  describe('a path breaks under a running container', () => {
    test('the environment that the kubelet will replay is stale: status, metric and the pod’s events say so', async () => {
      pods.add('stale');
      await createPod(world(), 'stale', 4);
      await given(world(), 'stale');
      const dma = (await pathNamed(world(), 'mlx5_1')).dma?.address ?? '';
      await virtual(world(), 'unbind', dma);
      await isFound('stale', 'EnvironmentStale', /mlx5_1 is DmaDriverNotBound; NCCL_IB_DATA_DIRECT was 1, would be 0/);
      expect(await agentMetrics(world())).toContain('data_direct_container_findings{reason="EnvironmentStale"} 1');
      const { stdout } = await world().cluster.kubectl(['describe', 'pod', 'stale']);
      expect(stdout).toMatch(/Warning +EnvironmentStale .*container main: .*NCCL_IB_DATA_DIRECT was 1, would be 0/);
      console.log(`$ kubectl describe pod stale\n${stdout.slice(stdout.indexOf('Events:'))}`);
      await virtual(world(), 'bind', dma);
      await nothingIsFound();
    });
  });

  describe('a container asks for two resources', () => {
    afterAll(async () => {
      await deletePolicy(world(), OTHER);
      await changePolicy(world(), POLICY, { nics: null, sharing: null });
      await expectAllocatable(world(), 4);
    });

    test('their different environments conflict, and that is told', async () => {
      const sharing = { replicas: STARTS / 2 }; // of two paths: each of the later pods can have one of each resource at the same time
      await changePolicy(world(), POLICY, { nics: { ibDevices: ['mlx5_0', 'mlx5_1'] }, sharing });
      await createPolicy(world(), OTHER, { resourceName: OTHER, nics: { ibDevices: ['mlx5_2', 'mlx5_3'] }, sharing });
      await comesTrue('the node has enough of each', async () => {
        const { status } = await world().core.readNode({ name: world().node });
        expect(status?.allocatable).toMatchObject({ [RESOURCE]: `${STARTS}`, [OTHER_RESOURCE]: `${STARTS}` });
      });
      await createBoth('torn', 'exec sleep 86400');
      await isFound('torn', 'EnvironmentConflict', /NCCL_IB_HCA, NVSHMEM_HCA_LIST, UCX_NET_DEVICES/);
      const { stdout } = await world().cluster.kubectl(['describe', 'pod', 'torn']);
      expect(stdout).toMatch(/Warning +EnvironmentConflict .*container main: /);
      expect(await agentMetrics(world())).toContain('data_direct_container_findings{reason="EnvironmentConflict"} 1');
      await gone('torn');
      await nothingIsFound();
    });

    test(`in each of ${STARTS} starts one of them wins (which one is printed, not asserted)`, async () => {
      const names = Array.from({ length: STARTS }, (_, start) => `torn-${start}`);
      await Promise.all(names.map((name) => createBoth(name, 'exit 0')));
      const won = new Map<string, number>();
      for (const name of names) {
        const winner = await winnerOf(name);
        won.set(winner, (won.get(winner) ?? 0) + 1);
      }
      const shown = [...won].map(([winner, times]) => `${winner} ${times}`).join(', ');
      figure(`whose environment wins in a container with two resources, ${STARTS} starts`, shown);
      expect([...won.values()].reduce((sum, times) => sum + times)).toBe(STARTS);
      await Promise.all(names.map(gone));
    });
  });

  async function isFound(pod: string, reason: string, message: RegExp): Promise<void> {
    await comesTrue(
      `${reason} of pod ${pod} is in the node’s status`,
      async () => {
        const { status } = await nodeObject(world());
        expect(status?.containers).toMatchObject([
          { namespace: 'default', pod, container: 'main', reason, message: expect.stringMatching(message) as string },
        ]);
      },
      { seconds: 60 },
    );
    await comesTrue('an event is there', async () => {
      expect((await eventsAbout(world(), 'Pod', pod)).map((event) => event.reason)).toContain(reason);
    });
  }

  async function nothingIsFound(): Promise<void> {
    await comesTrue(
      'the node’s status has no container in it',
      async () => expect((await nodeObject(world())).status?.containers ?? []).toEqual([]),
      { seconds: 60 },
    );
  }

  /** Of which resource the NIC is that a container, which has ended, was told to use. */
  async function winnerOf(name: string): Promise<string> {
    await comesTrue(`${name} has ended`, async () => {
      const { status } = await world().core.readNamespacedPod({ namespace: 'default', name });
      expect(status?.phase).toBe('Succeeded');
    });
    const text = await world().core.readNamespacedPodLog({ namespace: 'default', name });
    const nic = /^NCCL_IB_HCA==(.*)$/m.exec(text)?.[1] ?? 'none';
    expect(['mlx5_0', 'mlx5_1', 'mlx5_2', 'mlx5_3']).toContain(nic);
    return ['mlx5_0', 'mlx5_1'].includes(nic) ? RESOURCE : OTHER_RESOURCE;
  }

  /** A pod with a path of each resource. */
  async function createBoth(name: string, then: string): Promise<void> {
    pods.add(name);
    await world().core.createNamespacedPod({
      namespace: 'default',
      body: {
        metadata: { name },
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'main',
              image: testImage.reference,
              imagePullPolicy: 'Never',
              command: ['/bin/sh', '-c', `env; ${then}`],
              resources: { limits: { [RESOURCE]: '1', [OTHER_RESOURCE]: '1' } },
            },
          ],
        },
      },
    });
  }
}
