// The gRPC server of one resource, on a unix socket in the kubelet's directory. It lives for one registration; who decides what it
// answers is the PluginService behind it, and when it has to register again is registration.ts's.
import { chmodSync, rmSync } from 'node:fs';

import { sentenceOf } from '@data-direct/process';
import grpc from '@grpc/grpc-js';

import { within } from '../delay.ts';
import { AgentError, type AgentErrorCode } from '../errors.ts';
import {
  type AdvertisedDevice,
  type ContainerAllocation,
  type ContainerPreference,
  devicePlugin,
  type Empty,
  type PluginOptions,
} from './protocol.ts';

/** What one resource answers. Nothing that can block stands between the kubelet and its devices; the other two answers are bounded. */
export interface PluginService {
  /** The kubelet asks once a registration. */
  options(): PluginOptions;
  /** The whole list, as it is now. */
  devices(): readonly AdvertisedDevice[];
  /** Throws an AgentError for ids that cannot be given. */
  allocate(ids: readonly string[]): ContainerAllocation;
  /** Never rejects: the kubelet would refuse the pod. */
  prefer(request: ContainerPreference): Promise<readonly string[]>;
  /** Rejects with an AgentError where the container shall not start. */
  preStart(ids: readonly string[]): Promise<void>;
}

type ListStream = grpc.ServerWritableStream<Empty, readonly AdvertisedDevice[]>;

export class PluginServer {
  readonly #service: PluginService;
  readonly #server = new grpc.Server({ 'grpc.enable_channelz': 0 });
  /** Open ListAndWatch streams. A kubelet has one. */
  readonly #streams = new Set<ListStream>();
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();

  private constructor(service: PluginService) {
    this.#service = service;
  }

  /** Throws SOCKET_NOT_BOUND. */
  static async listen(socket: string, service: PluginService): Promise<PluginServer> {
    const plugin = new PluginServer(service);
    plugin.#server.addService(devicePlugin, plugin.#handlers());
    try {
      rmSync(socket, { force: true }); // a killed agent leaves it behind, and bind then says EADDRINUSE
      await new Promise<void>((resolve, reject) => {
        plugin.#server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
      chmodSync(socket, 0o600); // the kubelet is root, and nobody else has business here
    } catch (error) {
      plugin.#server.forceShutdown();
      throw new AgentError('SOCKET_NOT_BOUND', `cannot listen on ${socket}`, { socket }, error);
    }
    return plugin;
  }

  /** Resolves when the kubelet has opened ListAndWatch. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Resolves when the last stream has ended after one was open: the kubelet will not dial again by itself (kubernetes#125501). */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Sends the list as it is now to every open stream. */
  update(): void {
    for (const stream of this.#streams) this.#send(stream);
  }

  /**
   * Ends streams in order, then whatever is left by force after `graceMs`. tryShutdown waits for open streams for ever, and its callback
   * never comes where the kubelet's connection was already on its way down when it was called (grpc-js 1.14.7, seen with a real kubelet).
   */
  async close(graceMs: number): Promise<void> {
    const finished = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const stream of this.#streams) stream.end();
    await within(graceMs, finished);
    this.#server.forceShutdown();
  }

  #handlers(): grpc.UntypedServiceImplementation {
    const service = this.#service;
    const implementation: Handlers = {
      getDevicePluginOptions: (_call, answer) => answer(null, service.options()),
      listAndWatch: (stream) => this.#watch(stream),
      getPreferredAllocation: (call, answer) =>
        respondLater(answer, () => Promise.all(call.request.map((request) => service.prefer(request)))),
      allocate: (call, answer) => respond(answer, () => call.request.map((ids) => service.allocate(ids))),
      preStartContainer: (call, answer) =>
        respondLater(answer, async () => {
          await service.preStart(call.request);
          return {};
        }),
    };
    return implementation as unknown as grpc.UntypedServiceImplementation;
  }

  /** A stream's share in the list ends with the stream: nothing of a kubelet that is gone may catch what the next one should get. */
  #watch(stream: ListStream): void {
    const forget = (): void => {
      if (this.#streams.delete(stream) && this.#streams.size === 0) this.#ended.resolve();
    };
    for (const event of ['cancelled', 'error', 'finish', 'close']) stream.on(event, forget);
    stream.on('drain', () => this.#send(stream));
    this.#streams.add(stream);
    this.#send(stream);
    this.#opened.resolve();
  }

  /** A reader that does not read is not sent list upon list: `drain` sends it the latest once it has room. */
  #send(stream: ListStream): void {
    if (!stream.writableNeedDrain && !stream.writableEnded) stream.write(this.#service.devices());
  }
}

interface Handlers {
  getDevicePluginOptions: grpc.handleUnaryCall<Empty, PluginOptions>;
  listAndWatch: grpc.handleServerStreamingCall<Empty, readonly AdvertisedDevice[]>;
  getPreferredAllocation: grpc.handleUnaryCall<readonly ContainerPreference[], readonly (readonly string[])[]>;
  allocate: grpc.handleUnaryCall<readonly (readonly string[])[], readonly ContainerAllocation[]>;
  preStartContainer: grpc.handleUnaryCall<readonly string[], Empty>;
}

/** What the kubelet reads of our errors: it puts the message into the pod's status. */
const STATUS: Partial<Record<AgentErrorCode, grpc.status>> = {
  DEVICE_UNKNOWN: grpc.status.INVALID_ARGUMENT,
  DEVICE_REPEATED: grpc.status.INVALID_ARGUMENT,
  DEVICE_UNHEALTHY: grpc.status.FAILED_PRECONDITION,
  PATH_NOT_VERIFIED: grpc.status.FAILED_PRECONDITION,
};

function respond<T>(answer: grpc.sendUnaryData<T>, work: () => T): void {
  let result: T;
  try {
    result = work();
  } catch (error) {
    answer(refusal(error));
    return;
  }
  answer(null, result);
}

function respondLater<T>(answer: grpc.sendUnaryData<T>, work: () => Promise<T>): void {
  work().then(
    (result) => answer(null, result),
    (error: unknown) => answer(refusal(error)),
  );
}

function refusal(error: unknown): Partial<grpc.StatusObject> {
  const code = (error instanceof AgentError && STATUS[error.code]) || grpc.status.INTERNAL;
  return { code, details: sentenceOf(error) };
}
