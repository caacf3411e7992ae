// What the kubelet itself believes, asked without any of our code: which devices of a resource it holds for healthy, and where they are.
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { CONTROL_SOCKET, requestChange } from '@data-direct/driver-core';

import { agentPod, RESOURCE, type World } from './world.ts';

const podResources = 'unix:///var/lib/kubelet/pod-resources/kubelet.sock';
const deadlineMs = 60_000;
const answerMs = 10_000;
/** The kubelet serves 100 calls a second of this API (DefaultQPS in pkg/kubelet/apis/podresources), the agent's among them. */
const intervalMs = 20;

interface ContainerDevices {
  readonly resource_name: string;
  readonly device_ids: readonly string[];
  readonly topology: { readonly nodes: readonly { readonly ID: number }[] } | null;
}

interface Allocatable {
  readonly devices: readonly ContainerDevices[];
}

interface Lister extends grpc.Client {
  getAllocatableResources(
    request: object,
    options: grpc.CallOptions,
    callback: (error: grpc.ServiceError | null, response: Allocatable) => void,
  ): void;
}

export class AllocatableDevices {
  readonly #world: World;
  readonly #lister: Lister;

  constructor(world: World) {
    const loaded = grpc.loadPackageDefinition(
      loadSync(`${import.meta.dirname}/pod-resources.proto`, { keepCase: true, defaults: true, longs: Number }),
    );
    const service = (loaded['v1'] as Record<string, unknown>)['PodResourcesLister'] as new (
      target: string,
      credentials: grpc.ChannelCredentials,
    ) => Lister;
    this.#world = world;
    this.#lister = new service(podResources, grpc.credentials.createInsecure());
  }

  async count(): Promise<number> {
    return (await this.#devices()).flatMap(({ device_ids }) => device_ids).length;
  }

  /** By device id, as the kubelet's Topology Manager has been told; none for a device without a hint. */
  async numaNodes(): Promise<Readonly<Record<string, readonly number[]>>> {
    const devices = await this.#devices();
    return Object.fromEntries(devices.flatMap((each) => each.device_ids.map((id) => [id, nodesOf(each)])));
  }

  async #devices(): Promise<readonly ContainerDevices[]> {
    const { devices } = await new Promise<Allocatable>((resolve, reject) => {
      this.#lister.getAllocatableResources({}, { deadline: Date.now() + answerMs }, (error, response) =>
        error ? reject(error) : resolve(response),
      );
    });
    return devices.filter(({ resource_name }) => resource_name === RESOURCE);
  }

  /** Milliseconds from the moment at which the hardware has changed until the kubelet holds `count` devices for healthy. */
  async timeUntil(count: number, kind: 'unbind' | 'bind', address: string): Promise<number> {
    const socket = await this.#controlSocket();
    await requestChange(socket, [kind, address]);
    const started = performance.now();
    while (performance.now() - started < deadlineMs) {
      if ((await this.count()) === count) return performance.now() - started;
      await sleep(intervalMs);
    }
    throw new Error(`the kubelet still does not see ${count} devices ${deadlineMs / 1000} s after ${kind}`);
  }

  /**
   * Every number of healthy devices that the kubelet went through until it is `full` again, once it was not; and how long it was not, in
   * milliseconds.
   */
  async gap(full: number): Promise<{ counts: readonly number[]; ms: number }> {
    const counts: number[] = [];
    const asked = performance.now();
    let began: number | undefined;
    while (performance.now() - asked < deadlineMs) {
      const count = await this.count();
      if (count !== counts.at(-1)) counts.push(count);
      if (count !== full) began ??= performance.now();
      else if (began !== undefined) return { counts, ms: performance.now() - began };
      await sleep(intervalMs);
    }
    throw new Error(`the kubelet held ${counts.join(', then ')} devices for healthy within ${deadlineMs / 1000} s`);
  }

  /** The agent's control socket as the node sees it: no `kubectl exec` in what is measured. */
  async #controlSocket(): Promise<string> {
    const pod = await agentPod(this.#world);
    return `/var/lib/kubelet/pods/${pod.metadata?.uid}/volumes/kubernetes.io~empty-dir/run/${basename(CONTROL_SOCKET)}`;
  }

  close(): void {
    this.#lister.close();
  }
}

function nodesOf({ topology }: ContainerDevices): number[] {
  return (topology?.nodes ?? []).map(({ ID }) => ID);
}
