// What the kubelet itself believes, asked without any of our code: which devices of a resource it holds for healthy.
import { setTimeout as sleep } from 'node:timers/promises';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

import { RESOURCE, virtual, type World } from './world.ts';

const socket = 'unix:///var/lib/kubelet/pod-resources/kubelet.sock';
const deadlineMs = 60_000;

interface Allocatable {
  readonly devices: readonly { readonly resource_name: string; readonly device_ids: readonly string[] }[];
}

interface Lister extends grpc.Client {
  getAllocatableResources(
    request: object,
    callback: (error: grpc.ServiceError | null, response: Allocatable) => void,
  ): void;
}

export class AllocatableDevices {
  readonly #world: World;
  readonly #lister: Lister;

  constructor(world: World) {
    const loaded = grpc.loadPackageDefinition(loadSync(`${import.meta.dirname}/pod-resources.proto`, { keepCase: true }));
    const service = (loaded['v1'] as Record<string, unknown>)['PodResourcesLister'] as new (
      target: string,
      credentials: grpc.ChannelCredentials,
    ) => Lister;
    this.#world = world;
    this.#lister = new service(socket, grpc.credentials.createInsecure());
  }

  async count(): Promise<number> {
    const { devices } = await new Promise<Allocatable>((resolve, reject) => {
      this.#lister.getAllocatableResources({}, (error, response) => (error ? reject(error) : resolve(response)));
    });
    return devices.filter(({ resource_name }) => resource_name === RESOURCE).flatMap(({ device_ids }) => device_ids).length;
  }

  /** Milliseconds from the moment at which the hardware has changed until the kubelet holds `count` devices for healthy. */
  async timeUntil(count: number, action: 'unbind' | 'bind', address: string): Promise<number> {
    const started = performance.now();
    const changed = virtual(this.#world, action, address).then(() => performance.now());
    let seen = Number.NaN;
    while (performance.now() - started < deadlineMs) {
      if ((await this.count()) === count) {
        seen = performance.now();
        break;
      }
      await sleep(2);
    }
    await changed;
    if (Number.isNaN(seen)) throw new Error(`the kubelet still does not see ${count} devices ${deadlineMs / 1000} s after ${action}`);
    return seen - started;
  }

  close(): void {
    this.#lister.close();
  }
}
