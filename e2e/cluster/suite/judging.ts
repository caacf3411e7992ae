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
      await changePolicy(world(), POLICY, { nics: null });
      await expectAllocatable(world(), 4);
    });

    test('their different environments conflict, and that is told', async () => {
      await changePolicy(world(), POLICY, { nics: { ibDevices: ['mlx5_0', 'mlx5_1'] } });
      await createPolicy(world(), OTHER, { resourceName: OTHER, nics: { ibDevices: ['mlx5_2', 'mlx5_3'] } });
      await comesTrue('the node has two of each', async () => {
        const { status } = await world().core.readNode({ name: world().node });
        expect(status?.allocatable).toMatchObject({ [RESOURCE]: '2', [OTHER_RESOURCE]: '2' });
      });
      await createBoth('torn', 'exec sleep 86400');
      await isFound('torn', 'EnvironmentConflict', /NCCL_IB_HCA, NVSHMEM_HCA_LIST, UCX_NET_DEVICES/);
      await comesTrue('an event tells the pod’s owner', async () => {
        const events = await eventsAbout(world(), 'Pod', 'torn');
        expect(events.map(({ reason, type }) => [type, reason])).toContainEqual(['Warning', 'EnvironmentConflict']);
      });
      await gone('torn');
      await nothingIsFound();
    });

    test(`which environment wins in ${STARTS} starts (printed, not asserted)`, async () => {
      const won = new Map<string, number>();
      for (let start = 0; start < STARTS; start += 1) {
        const name = `torn-${start}`;
        await createBoth(name, 'exit 0');
        await comesTrue(`${name} has ended`, async () => {
          const { status } = await world().core.readNamespacedPod({ namespace: 'default', name });
          expect(status?.phase).toBe('Succeeded');
        });
        const text = await world().core.readNamespacedPodLog({ namespace: 'default', name });
        const list = /^NCCL_IB_HCA=(.*)$/m.exec(text)?.[1] ?? 'none';
        won.set(list, (won.get(list) ?? 0) + 1);
        await gone(name);
      }
      expect([...won.keys()].every((list) => ['=mlx5_0,mlx5_1', '=mlx5_2,mlx5_3'].includes(list))).toBe(true);
      const shown = [...won].map(([list, times]) => `${list} ${times}`).join(', ');
      figure(`NCCL_IB_HCA of two resources in one container, ${STARTS} starts`, shown);
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

  /** A pod with two paths of each resource. */
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
              resources: { limits: { [RESOURCE]: '2', [OTHER_RESOURCE]: '2' } },
            },
          ],
        },
      },
    });
  }
}
