// Chapter: pods get exactly their device nodes, and data direct on only when that is right.
import { afterEach, describe, expect, test } from 'vitest';

import { POLICY } from './installing.ts';
import { AllocatableDevices } from './kubelet-view.ts';
import { createPod, deletePod, given, readPod } from './pods.ts';
import { changePolicy, comesTrue, eventsAbout, nodeObject, type World } from './world.ts';

const on = { NCCL_IB_DATA_DIRECT: '1', UCX_IB_DIRECT_NIC: 'y', NVSHMEM_DISABLE_DATA_DIRECT: '0' };
const off = { NCCL_IB_DATA_DIRECT: '0', UCX_IB_DIRECT_NIC: 'n', NVSHMEM_DISABLE_DATA_DIRECT: '1' };

export function allocating(world: () => World): void {
  describe('a pod that asks for paths', () => {
    const pods: string[] = [];
    const pod = async (name: string, ...rest: [number, { env?: Record<string, string> }?]): Promise<void> => {
      pods.push(name);
      await createPod(world(), name, ...rest);
    };
    afterEach(async () => {
      for (const name of pods.splice(0)) await deletePod(world(), name);
    });

    test('all four: exactly their device nodes, data direct on', async () => {
      await pod('four', 4);
      const { devices, env } = await given(world(), 'four');
      expect(devices).toEqual(['uverbs0', 'uverbs1', 'uverbs2', 'uverbs3']);
      expect(env).toMatchObject(on);
      expect(env['NCCL_IB_HCA']).toBe('=mlx5_0,mlx5_1,mlx5_2,mlx5_3');
      expect(env['PCIDEVICE_DATADIRECT_DEV_PATH']?.split(',')).toHaveLength(4);
      await comesTrue(
        'the status counts them',
        async () => {
          const { status } = await nodeObject(world());
          expect(status?.resources).toEqual([{ name: 'path', capacity: 4, healthy: 4, allocated: 4 }]);
        },
        { seconds: 60 },
      );
    });

    test('two: data direct off, because the GPU is not known', async () => {
      await pod('two', 2);
      const { devices, env } = await given(world(), 'two');
      expect(devices).toHaveLength(2);
      expect(env).toMatchObject(off);
    });

    test('two, with a policy that says so: on', async () => {
      await changePolicy(world(), POLICY, { whenGpuUnknown: 'On' });
      await pod('two-on', 2);
      const { env } = await given(world(), 'two-on');
      expect(env).toMatchObject(on);
      await changePolicy(world(), POLICY, { whenGpuUnknown: 'Off' });
    });

    test('the variable that a pod sets itself wins', async () => {
      await pod('own', 4, { env: { NCCL_IB_DATA_DIRECT: '2' } });
      const { env } = await given(world(), 'own');
      expect(env).toMatchObject({ ...on, NCCL_IB_DATA_DIRECT: '2' });
    });

    test('on a policy’s word the kubelet knows the NUMA node of each path’s DMA function', async () => {
      const view = new AllocatableDevices(world());
      expect(Object.values(await view.numaNodes())).toEqual([[], [], [], []]);
      await changePolicy(world(), POLICY, { topologyHints: 'DmaNumaNode' });
      await comesTrue('the kubelet has the hints', async () => {
        expect(await view.numaNodes()).toEqual({
          '0000:03:00.0': [0],
          '0002:03:00.0': [0],
          '0010:03:00.0': [1],
          '0012:03:00.0': [1],
        });
      });
      await changePolicy(world(), POLICY, { topologyHints: 'Never' });
      view.close();
    });

    test('five: stays Pending, and the scheduler says what is missing', async () => {
      await pod('five', 5);
      await comesTrue('the scheduler has spoken', async () => {
        const events = await eventsAbout(world(), 'Pod', 'five');
        expect(events.map(({ note }) => note).join()).toContain('Insufficient datadirect.dev/path');
      });
      expect((await readPod(world(), 'five')).status?.phase).toBe('Pending');
    });
  });
}
