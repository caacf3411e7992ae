// A kubelet's side of the device plugin protocols, over real sockets and gRPC: registers plug-ins, follows their lists, allocates.
// As the real one it empties the directory when it starts, writes its account of devices there, never dials a plug-in again whose stream
// has ended, and answers pod-resources. It knows no pods: whoever uses it says which container holds what.
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import grpc from '@grpc/grpc-js';

import {
  type AdvertisedDevice,
  type ContainerAllocation,
  type ContainerDevices,
  devicePlugin,
  type Empty,
  type Method,
  podResourcesLister,
  type PluginOptions,
  type RegisterRequest,
  registration,
  VERSION,
} from '../protocol.ts';

/** What the kubelet knows of one resource. */
export interface KnownResource {
  readonly resource: string;
  readonly options: PluginOptions;
  /** Of the last list; empty before it. */
  readonly devices: readonly AdvertisedDevice[];
  /** Whether the ListAndWatch stream is open. Without it the kubelet counts every device as unhealthy. */
  readonly isConnected: boolean;
}

interface Endpoint {
  client: grpc.Client;
  options: PluginOptions;
  devices: readonly AdvertisedDevice[];
  stream: grpc.ClientReadableStream<readonly AdvertisedDevice[]> | undefined;
}

export class VirtualKubelet {
  /** Holds `device-plugins/` and `pod-resources/`. */
  readonly directory: string;
  /** The endpoint that registered last, by resource. */
  readonly #endpoints = new Map<string, Endpoint>();
  /** Endpoints whose stream is open, those that others have replaced among them. */
  readonly #followed = new Set<Endpoint>();
  readonly #waiting = new Set<() => void>();
  #servers: grpc.Server[] = [];
  #held: readonly ContainerDevices[] = [];
  readonly #lists = new Map<string, number[]>();
  /** Every Register that was accepted, in order. */
  readonly registrations: RegisterRequest[] = [];
  /** How often it was asked what containers hold. */
  asked = 0;
  /** Set to answer Register with this error. */
  refuse: string | undefined;
  /** Called inside Register, before anything is dialled. */
  onRegister: (request: RegisterRequest) => Promise<void> = () => Promise.resolve();

  constructor(directory: string) {
    this.directory = directory;
  }

  get plugins(): string {
    return join(this.directory, 'device-plugins');
  }

  async start(): Promise<void> {
    mkdirSync(this.plugins, { recursive: true, mode: 0o750 });
    mkdirSync(join(this.directory, 'pod-resources'), { recursive: true, mode: 0o750 });
    for (const name of readdirSync(this.plugins)) rmSync(join(this.plugins, name), { recursive: true, force: true });
    const register: grpc.handleUnaryCall<RegisterRequest, Empty> = (call, answer) => {
      this.#register(call.request).then(
        () => answer(null, {}),
        (error: unknown) => answer({ code: grpc.status.UNKNOWN, details: String(error) }),
      );
    };
    const list: grpc.handleUnaryCall<Empty, readonly ContainerDevices[]> = (_call, answer) => {
      this.asked += 1;
      answer(null, this.#held.flatMap(oneByOne));
    };
    this.#servers = [
      await serve(join(this.plugins, 'kubelet.sock'), registration, { register }),
      await serve(join(this.directory, 'pod-resources/kubelet.sock'), podResourcesLister, { list }),
    ];
  }

  /** Without a word to anybody: connections break, and with them goes what the kubelet knew. */
  stop(): void {
    for (const server of this.#servers) server.forceShutdown();
    this.#servers = [];
    this.#endpoints.clear();
    for (const endpoint of this.#followed) disconnect(endpoint);
    this.#changed();
  }

  async restart(): Promise<void> {
    this.stop();
    await this.start();
  }

  /** Breaks the ListAndWatch stream of a resource, and nothing else. */
  breakStream(resource: string): void {
    this.#endpoints.get(resource)?.stream?.cancel();
  }

  resource(resource: string): KnownResource | undefined {
    const endpoint = this.#endpoints.get(resource);
    return (
      endpoint && {
        resource,
        options: endpoint.options,
        devices: endpoint.devices,
        isConnected: endpoint.stream !== undefined,
      }
    );
  }

  /** Ids of healthy devices: what the kubelet would call allocatable. */
  healthy(resource: string): string[] {
    const known = this.resource(resource);
    return known?.isConnected ? known.devices.filter((device) => device.healthy).map((device) => device.id) : [];
  }

  /** Resolves when the condition holds; asked again at every change the kubelet sees. */
  async until(what: string, holds: () => boolean, timeoutMs = 15_000): Promise<void> {
    const deadline = AbortSignal.timeout(timeoutMs);
    while (!holds()) {
      if (deadline.aborted) throw new Error(`the kubelet did not see within ${timeoutMs} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          deadline.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.add(wake);
        deadline.addEventListener('abort', wake);
      });
    }
  }

  async allocate(resource: string, ids: readonly string[]): Promise<ContainerAllocation> {
    const [allocation] = await this.#ask(resource, devicePlugin.allocate, [ids]);
    if (!allocation) throw new Error(`Allocate of ${resource} was answered without a container`);
    return allocation;
  }

  async prefer(
    resource: string,
    available: readonly string[],
    size: number,
    mustInclude: readonly string[] = [],
  ): Promise<readonly string[]> {
    const [ids] = await this.#ask(resource, devicePlugin.getPreferredAllocation, [{ available, mustInclude, size }]);
    return ids ?? [];
  }

  /** Before each start of a container, where the plug-in asked for it. */
  async preStart(resource: string, ids: readonly string[]): Promise<void> {
    if (this.resource(resource)?.options.preStartRequired)
      await this.#ask(resource, devicePlugin.preStartContainer, ids);
  }

  /** How many devices each list of the resource had, of all kubelets that were. */
  lists(resource: string): readonly number[] {
    return this.#lists.get(resource) ?? [];
  }

  /** What a pod with `count` of the resource would be given: preferred ids, then Allocate, as the kubelet does it. */
  async admit(pod: string, resource: string, count: number): Promise<ContainerAllocation> {
    const taken = new Set(this.#held.filter((held) => held.resource === resource).flatMap((held) => held.ids));
    const free = this.healthy(resource).filter((id) => !taken.has(id));
    if (free.length < count) throw new Error(`Insufficient ${resource}: ${count} wanted, ${free.length} free`);
    const ids = count === free.length ? free : await this.prefer(resource, free, count);
    const allocation = await this.allocate(resource, ids);
    await this.preStart(resource, ids);
    this.hold([...this.#held, { namespace: 'default', pod, container: 'main', resource, ids }]);
    return allocation;
  }

  /** What pod-resources says. That a container ended is put down nowhere. */
  hold(held: readonly ContainerDevices[]): void {
    const isMore = held.length > this.#held.length;
    this.#held = held;
    if (isMore) this.#putDown();
  }

  #putDown(): void {
    writeFileSync(join(this.plugins, 'kubelet_internal_checkpoint'), JSON.stringify(this.#held));
  }

  async #register(request: RegisterRequest): Promise<void> {
    await this.onRegister(request);
    if (this.refuse !== undefined) throw new Error(this.refuse);
    if (request.version !== VERSION) throw new Error(`requested API version ${request.version} is not supported`);
    const client = new grpc.Client(`unix:${join(this.plugins, request.endpoint)}`, grpc.credentials.createInsecure(), {
      'grpc.enable_channelz': 0,
      // A dial of its own for each registration: by default grpc-js shares a connection among clients of one path.
      'grpc.use_local_subchannel_pool': 1,
    });
    const endpoint: Endpoint = { client, options: request.options, devices: [], stream: undefined };
    this.#endpoints.set(request.resourceName, endpoint);
    endpoint.options = await unary(client, devicePlugin.getDevicePluginOptions, {});
    this.registrations.push(request);
    this.#follow(request.resourceName, endpoint);
  }

  /**
   * The real kubelet closes nothing when a resource is registered again, and when any stream of a resource ends it looks up by name whom
   * to disconnect: the one that registered last, whoever it was that ended (pkg/kubelet/cm/devicemanager/plugin/v1beta1/handler.go).
   */
  #follow(resource: string, endpoint: Endpoint): void {
    const { path, requestSerialize, responseDeserialize } = devicePlugin.listAndWatch;
    const stream = endpoint.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    endpoint.stream = stream;
    this.#followed.add(endpoint);
    stream.on('data', (devices: readonly AdvertisedDevice[]) => {
      const known = this.#endpoints.get(resource);
      if (known) known.devices = devices;
      this.#lists.set(resource, [...this.lists(resource), devices.length]);
      this.#changed();
    });
    const over = (): void => {
      endpoint.stream = undefined;
      this.#followed.delete(endpoint);
      const last = this.#endpoints.get(resource);
      if (last) disconnect(last);
      this.#changed();
    };
    stream.on('error', over);
    stream.on('end', over);
    this.#changed();
  }

  #ask<Request, Answer>(resource: string, method: Method<Request, Answer>, request: Request): Promise<Answer> {
    const endpoint = this.#endpoints.get(resource);
    if (!endpoint) return Promise.reject(new Error(`no plug-in has registered ${resource}`));
    return unary(endpoint.client, method, request);
  }

  #changed(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** As the real one lists them: each device with its own topology. */
function oneByOne({ ids, ...holder }: ContainerDevices): ContainerDevices[] {
  return ids.map((id) => ({ ...holder, ids: [id] }));
}

function disconnect(endpoint: Endpoint): void {
  endpoint.stream?.cancel();
  endpoint.stream = undefined;
  endpoint.client.close();
}

function unary<Request, Answer>(
  client: grpc.Client,
  method: Method<Request, Answer>,
  request: Request,
): Promise<Answer> {
  const { path, requestSerialize, responseDeserialize } = method;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
    if (error) reject(error);
    else resolve(answer as Answer);
  });
  return promise;
}

async function serve<Service extends grpc.ServiceDefinition>(
  socket: string,
  service: Service,
  handlers: Record<keyof Service, unknown>,
): Promise<grpc.Server> {
  const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
  server.addService(service, handlers as unknown as grpc.UntypedServiceImplementation);
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
  chmodSync(socket, 0o600);
  return server;
}
