// Pods that ask for paths and say what they were given.
import type { V1Pod } from '@kubernetes/client-node';

import { testImage } from '../images/test-images.ts';
import { eventually, isReady, RESOURCE, type World } from './world.ts';

const namespace = 'default';

export interface Given {
  /** Names below /dev/infiniband, sorted. */
  readonly devices: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface PodOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly restartPolicy?: string;
  /** Of other resources. */
  readonly limits?: Readonly<Record<string, string>>;
  readonly image?: string;
}

const TELLING = ['/bin/sh', '-c', 'ls -1 /dev/infiniband; echo --; env; echo --; exec sleep 86400'];

/** A pod that prints its device nodes and its environment, then stays; of another image it does that image's command. */
export async function createPod(
  world: World,
  name: string,
  paths: number,
  { env = {}, restartPolicy = 'Always', limits = {}, image }: PodOptions = {},
): Promise<void> {
  await world.core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name },
      spec: {
        restartPolicy,
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'main',
            imagePullPolicy: 'Never',
            ...(image === undefined ? { image: testImage.reference, command: TELLING } : { image }),
            env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
            resources: { limits: { ...(paths > 0 && { [RESOURCE]: String(paths) }), ...limits } },
          },
        ],
      },
    },
  });
}

export function readPod(world: World, name: string): Promise<V1Pod> {
  return world.core.readNamespacedPod({ namespace, name });
}

/** What must not change while others restart: the very same container, never restarted. */
export async function containerOf(world: World, name: string): Promise<unknown> {
  const status = (await readPod(world, name)).status?.containerStatuses?.[0];
  return { id: status?.containerID, restarts: status?.restartCount };
}

export function ready(world: World, name: string): Promise<V1Pod> {
  return eventually(
    `pod ${name} is ready`,
    async () => {
      const pod = await readPod(world, name);
      if (isReady(pod)) return pod;
      const { phase, reason, message } = pod.status ?? {};
      throw new Error([phase, reason, message].filter(Boolean).join(' '));
    },
    { seconds: 90 },
  );
}

/** Waits until the pod runs and tells what it printed. */
export async function given(world: World, name: string): Promise<Given> {
  await ready(world, name);
  const log = await eventually(`pod ${name} has said everything`, async () => {
    const text = await world.core.readNamespacedPodLog({ namespace, name });
    return text.split('--\n').length === 3 ? text : undefined;
  });
  const [devices = '', env = ''] = log.split('--\n');
  return {
    devices: devices.trim().split('\n').toSorted(),
    env: Object.fromEntries(
      env
        .trim()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ),
  };
}

/** A container that could not be started the kubelet tries again ten seconds later, or at once when its pod changes. */
export async function tryAgain(world: World, name: string): Promise<void> {
  await world.cluster.kubectl(['annotate', 'pod', name, 'example.com/tried-again=yes']);
}

/** Deletes and waits until the pod is gone, so that its devices are free again. */
export async function deletePod(world: World, name: string): Promise<void> {
  await world.core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
  await eventually(`pod ${name} is gone`, async () => {
    const { items } = await world.core.listNamespacedPod({ namespace });
    return items.every((pod) => pod.metadata?.name !== name) || undefined;
  });
}

/** Whatever a test that failed half-way left: the next finds all devices free. */
export async function deletePods(world: World): Promise<void> {
  const { items } = await world.core.listNamespacedPod({ namespace });
  for (const { metadata } of items) await deletePod(world, metadata?.name ?? '');
}
