// Chapter: the agent needs neither API server nor operator to serve what it knew, and a node comes out of a reboot with the same paths.
import { rm } from 'node:fs/promises';

import type { V1Pod } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { mainProcess } from './container-process.ts';
import { figure } from './figures.ts';
import { AllocatableDevices } from './kubelet-view.ts';
import { containerOf, createPod, deletePod, deletePods, given, type Given, readPod } from './pods.ts';
import {
  agentPod,
  CDI_FILE,
  comesTrue,
  eventually,
  expectAllocatable,
  isReady,
  NAMESPACE,
  nodeObject,
  type World,
} from './world.ts';

export function outlasting(world: () => World): void {
  const clear = (): Promise<void> => deletePods(world());

  describe('the API server is gone', () => {
    afterEach(clear);

    test('a killed agent comes back from its checkpoint, the pod runs on', async () => {
      await createPod(world(), 'outlasting', 2);
      await given(world(), 'outlasting');
      const before = await containerOf(world(), 'outlasting');
      const pid = await mainProcess(await agentPod(world()));
      const view = new AllocatableDevices(world());
      await world().cluster.apiserver.stop();
      try {
        const gap = view.gap(4);
        process.kill(pid, 'SIGKILL');
        const { counts, ms } = await gap;
        expect(counts.filter((count) => count !== 0 && count !== 4)).toEqual([]);
        figure('agent killed, no API server → devices again after', `${Math.round(ms)} ms`);
      } finally {
        view.close();
        await world().cluster.apiserver.start();
      }
      await comesTrue('the new agent reports, and knows what the pod holds', async () => {
        expect((await agentPod(world())).status?.containerStatuses?.[0]?.restartCount).toBeGreaterThan(0);
        const { status } = await nodeObject(world());
        expect(status?.resources?.[0]).toMatchObject({ capacity: 4, healthy: 4, allocated: 2 });
      });
      expect(await containerOf(world(), 'outlasting')).toEqual(before);
    });
  });

  describe('the node reboots, and the operator is gone', () => {
    beforeAll(async () => {
      await operator(0);
      const pods = ['pod', '--namespace', NAMESPACE, '--selector=app.kubernetes.io/component=operator'];
      await world().cluster.kubectl(['wait', '--for=delete', ...pods, '--timeout=50s']);
    });
    afterAll(() => operator(1));
    afterEach(clear);

    test('pods get the same paths as before', async () => {
      const before = await givenTo('before');
      await createPod(world(), 'running', 2);
      await given(world(), 'running');
      const old = containerIdOf(await agentPod(world()));
      const started = performance.now();
      await world().cluster.reboot(() => rm(CDI_FILE, { force: true })); // /run is in memory
      const view = new AllocatableDevices(world());
      await comesTrue('the kubelet holds all devices for healthy', async () => expect(await view.count()).toBe(4));
      view.close();
      figure(
        'node rebooted, no operator → the kubelet has all devices',
        `${Math.round(performance.now() - started)} ms`,
      );
      await comesTrue('the API server knows that the agent is ready', async () => {
        const pod = await agentPod(world());
        expect(containerIdOf(pod)).not.toBe(old);
        expect(isReady(pod)).toBe(true);
      });
      await expectAllocatable(world(), 4);
      figure('a pod that held paths when the node went down', await fateOf('running'));
      await clear();
      expect(await givenTo('after')).toEqual(before);
    });
  });

  function operator(replicas: number): Promise<unknown> {
    const which = ['deployment/data-direct-operator', '--namespace', NAMESPACE];
    return world().cluster.kubectl(['scale', ...which, `--replicas=${replicas}`]);
  }

  /** The kubelet takes up its pods before any plug-in can have registered: what becomes of one that holds devices is its decision. */
  function fateOf(name: string): Promise<string> {
    return eventually(`the kubelet has decided on ${name}`, async () => {
      const { status } = await readPod(world(), name);
      if (status?.phase === 'Failed') return `${status.phase}, ${status.reason}`;
      return (status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 ? 'runs again' : undefined;
    });
  }

  /** What a pod with all paths is given; HOSTNAME and the like are its own. */
  async function givenTo(name: string): Promise<Given> {
    await createPod(world(), name, 4);
    const { devices, env } = await given(world(), name);
    await deletePod(world(), name);
    const ours = Object.entries(env).filter(([variable]) => /^(NCCL|UCX|NVSHMEM|PCIDEVICE)_/.test(variable));
    return { devices, env: Object.fromEntries(ours) };
  }
}

function containerIdOf({ status }: V1Pod): string | undefined {
  return status?.containerStatuses?.[0]?.containerID;
}
