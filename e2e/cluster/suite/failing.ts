// Chapter: hardware breaks, is reported with a reason, and heals.
import { AllocatableDevices } from './kubelet-view.ts';
import { afterEach, describe, expect, test } from 'vitest';

import { figure, spread } from './figures.ts';
import { POLICY } from './installing.ts';
import { createPod, deletePod, given } from './pods.ts';
import {
  agentMetrics,
  changePolicy,
  comesTrue,
  eventsAbout,
  expectAllocatable,
  pathNamed,
  policyNamed,
  virtual,
  type World,
} from './world.ts';

export function failing(world: () => World): void {
  const dma = async (): Promise<string> => (await pathNamed(world(), 'mlx5_1')).dma?.address ?? '';

  describe('the DMA function of one path is unbound', () => {
    test('node, policy, event and metric say so', async () => {
      const address = await dma();
      await virtual(world(), 'unbind', address);
      await comesTrue('DataDirectNode reports the path', async () => {
        const path = await pathNamed(world(), 'mlx5_1');
        expect(path).toMatchObject({ state: 'Degraded', reason: 'DmaDriverNotBound' });
        expect(path.message).toContain(address);
      });
      await comesTrue('DataDirectPath reports it', async () => {
        const { status } = await policyNamed(world(), POLICY);
        expect(status?.paths).toMatchObject({ total: 4, ready: 3, degraded: 1 });
        expect(status?.reasons).toContainEqual({ reason: 'DmaDriverNotBound', paths: 1, nodes: [world().node] });
        const ready = status?.conditions?.find(({ type }) => type === 'Ready');
        expect(ready?.status).toBe('False');
        expect(ready?.message).toContain('DmaDriverNotBound');
      });
      await comesTrue('an event tells of it', async () => {
        const events = await eventsAbout(world(), 'DataDirectNode', world().node);
        expect(events.map(({ reason, type }) => [type, reason])).toContainEqual(['Warning', 'DmaDriverNotBound']);
      });
      const { stdout: node } = await world().cluster.kubectl(['describe', 'node', world().node]);
      expect(node).toMatch(/Warning +DmaDriverNotBound .*path mlx5_1 /);
      expect(await agentMetrics(world())).toMatch(/data_direct_path_state\{[^}]*reason="DmaDriverNotBound"[^}]*\} 1/);
      const { stdout } = await world().cluster.kubectl(['describe', 'ddp', POLICY]);
      console.log(`$ kubectl describe ddp ${POLICY}   # one DMA function unbound\n${stdout}`);
    });

    test('a Preferred policy still hands the path out, with data direct off', async () => {
      await expectAllocatable(world(), 4);
      await createPod(world(), 'preferred', 4);
      const { devices, env } = await given(world(), 'preferred');
      expect(devices).toHaveLength(4);
      expect(env).toMatchObject({ NCCL_IB_DATA_DIRECT: '0', UCX_IB_DIRECT_NIC: 'n', NVSHMEM_DISABLE_DATA_DIRECT: '1' });
      await deletePod(world(), 'preferred');
    });

    test('a Required policy loses the device', async () => {
      await changePolicy(world(), POLICY, { dataDirect: 'Required' });
      await expectAllocatable(world(), 3);
    });

    test('bound again, everything heals', async () => {
      await virtual(world(), 'bind', await dma());
      await expectAllocatable(world(), 4);
      await comesTrue('path and policy are ready', async () => {
        expect(await pathNamed(world(), 'mlx5_1')).toMatchObject({ state: 'Ready', reason: 'Paired' });
        const { status } = await policyNamed(world(), POLICY);
        expect(status?.paths).toMatchObject({ total: 4, ready: 4, degraded: 0, allocatable: 4 });
        expect(status?.reasons ?? []).not.toContainEqual(expect.objectContaining({ reason: 'DmaDriverNotBound' }));
      });
    });

    test('the kubelet is told soon (printed, not asserted)', async () => {
      const view = new AllocatableDevices(world());
      const address = await dma();
      const down: number[] = [];
      const up: number[] = [];
      for (let run = 0; run < 5; run += 1) {
        down.push(await view.timeUntil(3, 'unbind', address));
        up.push(await view.timeUntil(4, 'bind', address));
      }
      expect(await view.count()).toBe(4);
      view.close();
      figure('DMA function unbound → kubelet sees the device unhealthy', spread(down));
      figure('DMA function bound → kubelet sees the device healthy', spread(up));
    });
  });

  describe('a port goes down', () => {
    afterEach(async () => {
      await virtual(world(), 'port-up', 'mlx5_2');
    });

    test('the path is Unavailable under every policy and comes back with the port', async () => {
      await changePolicy(world(), POLICY, { dataDirect: 'Preferred' });
      await virtual(world(), 'port-down', 'mlx5_2');
      await comesTrue(
        'the path is reported',
        async () => {
          expect(await pathNamed(world(), 'mlx5_2')).toMatchObject({ state: 'Unavailable', reason: 'PortDown' });
        },
        { seconds: 60 },
      );
      await expectAllocatable(world(), 3);
      await virtual(world(), 'port-up', 'mlx5_2');
      await comesTrue(
        'the path is back',
        async () => {
          expect(await pathNamed(world(), 'mlx5_2')).toMatchObject({ state: 'Ready', reason: 'Paired' });
        },
        { seconds: 60 },
      );
      await expectAllocatable(world(), 4);
    });
  });

  describe('an administrator takes a path out of service', () => {
    test('it is Excluded, with the words of the policy, and returns when the entry goes', async () => {
      const exclude = [{ node: world().node, nic: 'mlx5_3', reason: 'cable on order' }];
      await changePolicy(world(), POLICY, { exclude });
      await comesTrue('the path is excluded', async () => {
        const path = await pathNamed(world(), 'mlx5_3');
        expect(path).toMatchObject({ state: 'Unavailable', reason: 'Excluded' });
        expect(path.message).toContain('cable on order');
      });
      await expectAllocatable(world(), 3);
      await changePolicy(world(), POLICY, { exclude: [] });
      await expectAllocatable(world(), 4);
    });
  });
}
