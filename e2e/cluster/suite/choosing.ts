// Chapter: which paths the kubelet takes beside another plug-in's GPUs, CDI files, and paths that are verified before a container starts.
import { existsSync, readFileSync, rmSync } from 'node:fs';

import type { NodePath } from '@data-direct/crds';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { heldDevices, servePlugin } from '../experiments/scripted-plugin.ts';
import { figure } from './figures.ts';
import { POLICY } from './installing.ts';
import { AllocatableDevices } from './kubelet-view.ts';
import { createPod, deletePod, given, readPod, tryAgain } from './pods.ts';
import {
  agentMetrics,
  CDI_FILE,
  changePolicy,
  comesTrue,
  eventsAbout,
  followedAt,
  nodeObject,
  pathNamed,
  RESOURCE,
  virtual,
  type World,
} from './world.ts';

const GPU = 'example.com/gpu';
/** Nobody's NIC: what happens to it asks for a round and a report, and changes nothing else. */
const BLUEFIELD = '0016:03:00.0';
const PODS = 8;
/** Until both orders were seen, of which the kubelet takes one at random; less likely than one in a million millions not to be enough. */
const MOST_PODS = 40;

export function choosing(world: () => World): void {
  describe('a GPU-like plug-in on the same kubelet', () => {
    let paths: readonly NodePath[];
    let end: () => Promise<void>;
    /** The pod that is being created. */
    let admitted = '';
    /** How often the kubelet had asked for the path before the GPU. */
    let pathFirst = 0;

    beforeAll(async () => {
      const { status } = await nodeObject(world());
      paths = (status?.paths ?? []).filter(({ resource }) => resource === 'path');
      end = await servePlugin({
        resource: GPU,
        devices: paths.map(gpuBeside),
        prefer: (available, size) => preferredGpus(paths.map(gpuBeside).toSorted(), available, size),
        allocate: async (ids) => {
          const held = await heldDevices();
          pathFirst += Number(held.some(({ pod, resource }) => pod === admitted && resource === RESOURCE));
          return { envs: { GPUS: ids.join() } };
        },
      });
      await comesTrue('the node has GPUs', async () => {
        const { status: node } = await world().core.readNode({ name: world().node });
        expect(node?.allocatable).toMatchObject({ [GPU]: String(paths.length) });
      });
      await createPod(world(), 'renderer', 0, { limits: { [GPU]: '1' } });
      await comesTrue('a pod has the first GPU and no path', async () => {
        expect((await heldDevices()).map(({ pod, resource }) => [pod, resource])).toContainEqual(['renderer', GPU]);
      });
      await lookAgain();
    });

    afterAll(async () => {
      await deletePod(world(), 'renderer');
      await end();
    });

    test(`a path beside its GPU for each of ${PODS} pods or more, whichever the kubelet asks for first`, async () => {
      const matched: boolean[] = [];
      const isOneSided = (): boolean => pathFirst === 0 || pathFirst === matched.length;
      while (matched.length < PODS || (isOneSided() && matched.length < MOST_PODS))
        matched.push(await isMatched(`pair-${matched.length}`, 1));
      figure(
        `pods of ${matched.length} whose path is beside their GPU, with the first GPU taken by another`,
        `${matched.filter(Boolean).length}, path asked for first in ${pathFirst}`,
      );
      expect(matched).toEqual(matched.map(() => true));
      expect(isOneSided()).toBe(false);
    });

    test('two paths beside two GPUs', async () => {
      expect(await isMatched('pairs', 2)).toBe(true);
    });

    test('a container with a GPU that is not beside its path is told to those who own its pod', async () => {
      await createPod(world(), 'apart', 1, { limits: { [GPU]: '2' } });
      const { env } = await given(world(), 'apart');
      expect(env).toMatchObject({ NCCL_IB_DATA_DIRECT: '0' });
      await comesTrue('an event says so', async () => {
        const events = await eventsAbout(world(), 'Pod', 'apart');
        expect(events.map(({ reason }) => reason)).toContain('GpuElsewhere');
      });
      const { status } = await nodeObject(world());
      expect(status?.containers).toMatchObject([{ pod: 'apart', container: 'main', reason: 'GpuElsewhere' }]);
      await deletePod(world(), 'apart');
    });

    async function isMatched(name: string, count: number): Promise<boolean> {
      admitted = name;
      await createPod(world(), name, count, { limits: { [GPU]: String(count) } });
      const { env } = await given(world(), name);
      await deletePod(world(), name);
      const ids = env['PCIDEVICE_DATADIRECT_DEV_PATH']?.split(',') ?? [];
      const beside = paths.filter(({ id }) => ids.includes(id)).map(gpuBeside);
      return env['GPUS']?.split(',').every((gpu) => beside.includes(gpu)) ?? false;
    }
  });

  describe('CDI', () => {
    test('each path is a device of one file', () => {
      const { kind, devices } = JSON.parse(readFileSync(CDI_FILE, 'utf8')) as { kind: string; devices: unknown[] };
      expect(kind).toBe(RESOURCE);
      expect(devices).toHaveLength(4);
    });

    test('the runtime looks names up: a pod waits while the file is gone, and starts once the next round has written it', async () => {
      const losing = setInterval(() => rmSync(CDI_FILE, { force: true }), 20); // each rescan writes it
      try {
        await createPod(world(), 'by-name', 2);
        await comesTrue('the runtime misses it', async () => {
          const events = await eventsAbout(world(), 'Pod', 'by-name');
          expect(events.map(({ note }) => note).join()).toContain('unresolvable CDI devices datadirect.dev/path=');
        });
      } finally {
        clearInterval(losing);
      }
      await lookAgain();
      expect(existsSync(CDI_FILE)).toBe(true);
      await tryAgain(world(), 'by-name');
      const { devices } = await given(world(), 'by-name');
      expect(devices).toHaveLength(2); // each node once, although Allocate and CDI both name it
      await deletePod(world(), 'by-name');
    });
  });

  describe('a policy that verifies by registration', () => {
    beforeAll(async () => {
      await registersAnew({ dataDirect: 'Required', verification: { level: 'Registration' } });
      await comesTrue('every path has passed it', async () => {
        const { status } = await nodeObject(world());
        const held = status?.paths?.filter(({ resource }) => resource === 'path');
        expect(held?.map(({ verified }) => verified)).toEqual(held?.map(() => 'Registration'));
      });
    });
    afterAll(() => registersAnew({ dataDirect: 'Preferred', verification: { level: 'Probe' } }));

    test('a container starts after its path has been registered with', async () => {
      await createPod(world(), 'verified', 1);
      const { devices } = await given(world(), 'verified');
      expect(devices).toHaveLength(1);
      await deletePod(world(), 'verified');
    });

    test('one whose path fails at the last moment does not; its events say which and why; it starts once that is mended', async () => {
      const { status } = await nodeObject(world());
      const nics = (status?.paths ?? []).filter(({ resource }) => resource === 'path').map(({ id }) => id);
      for (const nic of nics) await virtual(world(), 'refuse', nic, 'register', 'EOPNOTSUPP');
      await createPod(world(), 'kept', 1);
      await comesTrue('the pod’s events say why', async () => {
        const events = await eventsAbout(world(), 'Pod', 'kept');
        expect(events.map(({ note }) => note).join()).toMatch(
          /did not pass Registration before the start of a container/,
        );
      });
      const { stdout } = await world().cluster.kubectl(['describe', 'pod', 'kept']);
      console.log(`$ kubectl describe pod kept\n${stdout.slice(stdout.indexOf('Events:'))}`);
      expect((await readPod(world(), 'kept')).status?.phase).toBe('Pending');
      await comesTrue('so do those of the node’s object', async () => {
        const events = await eventsAbout(world(), 'DataDirectNode', world().node);
        expect(events.map(({ action }) => action)).toContain('PreStartContainer');
      });
      for (const nic of nics) await virtual(world(), 'allow', nic);
      await tryAgain(world(), 'kept');
      await given(world(), 'kept');
      await deletePod(world(), 'kept');
      await lookAgain();
    });
  });

  /** Whether a container waits for PreStartContainer is said at registration. The node's allocatable is too slow to tell of the gap. */
  async function registersAnew(spec: Parameters<typeof changePolicy>[2]): Promise<void> {
    const since = Date.now();
    const view = new AllocatableDevices(world());
    await changePolicy(world(), POLICY, spec);
    await comesTrue('the kubelet follows the resource anew and holds all devices for healthy', async () => {
      expect((await followedAt(world())).some((moment) => moment >= since)).toBe(true);
      expect(await view.count()).toBe(4);
    });
    view.close();
  }

  /** Returns when the agent has done a round and asked the kubelet who holds what. */
  async function lookAgain(): Promise<void> {
    await virtual(world(), 'unbind', BLUEFIELD);
    await comesTrue('a round has been reported', async () => {
      expect((await pathNamed(world(), BLUEFIELD)).reason).toBe('WaitingForDriver');
    });
    await virtual(world(), 'bind', BLUEFIELD);
    await comesTrue('another round', async () => {
      expect(await agentMetrics(world())).not.toContain('reason="WaitingForDriver"');
    });
  }
}

/** As NVIDIA's plug-in does where NVLink is alike: GPUs of one CPU where one has enough, of these the first. A CPU has half of them. */
function preferredGpus(all: readonly string[], available: readonly string[], size: number): readonly string[] {
  const free = all.filter((gpu) => available.includes(gpu));
  const halves = [all.slice(0, all.length / 2), all.slice(all.length / 2)];
  const roomy = halves.map((half) => free.filter((gpu) => half.includes(gpu))).find((half) => half.length >= size);
  return (roomy ?? free).slice(0, size);
}

function gpuBeside({ gpus: [gpu] = [] }: NodePath): string {
  return gpu?.address ?? '';
}
