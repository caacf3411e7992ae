// Keeps one resource registered with whatever kubelet is there. A registration is: listen afresh, Register, wait for ListAndWatch;
// it lasts until the kubelet is replaced, its stream ends, or the resource is withdrawn, and then the next one begins.
import { join } from 'node:path';

import { delay, within } from '../delay.ts';
import { AgentError } from '../errors.ts';
import { callOnce } from './call.ts';
import type { KubeletSocket } from './kubelet-socket.ts';
import { Pace } from './pace.ts';
import { PluginServer, type PluginService } from './plugin-server.ts';
import { registration, VERSION } from './protocol.ts';

export interface RegistrationEvents {
  /** The kubelet has opened ListAndWatch. */
  registered(resource: string): void;
  /** The registration is over, or did not come about; `error` where that was not the kubelet's coming or going. It is tried again. */
  lost(resource: string, error: unknown): void;
}

/** The kubelet dials the plug-in from within Register and gives up after 10 s (pkg/kubelet/cm/devicemanager). */
const REGISTER_TIMEOUT_MS = 12_000;
const STREAM_TIMEOUT_MS = 10_000;
const CLOSE_GRACE_MS = 500;

interface Outcome {
  /** Undefined where the kubelet came or went, or the options changed. */
  readonly error: unknown;
  /** For how long the kubelet followed the list; undefined where it never did. */
  readonly heldMs: number | undefined;
}

export class Registration {
  readonly #resource: string;
  readonly #service: PluginService;
  readonly #kubelet: KubeletSocket;
  readonly #events: RegistrationEvents;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #outdated = new AbortController();
  #server: PluginServer | undefined;

  /** Starts at once. `resource` is the extended resource's name. */
  constructor(resource: string, service: PluginService, kubelet: KubeletSocket, events: RegistrationEvents) {
    this.#resource = resource;
    this.#service = service;
    this.#kubelet = kubelet;
    this.#events = events;
    this.#done = this.#run();
  }

  /** The list has changed: tell the kubelet. */
  update(): void {
    this.#server?.update();
  }

  /** The options have changed: the kubelet asks for them when a resource is registered, and at no other time. */
  renew(): void {
    this.#outdated.abort();
  }

  /** Ends the registration and closes the socket. The kubelet keeps the devices, as unhealthy, for when the agent is back. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const stop = this.#stop.signal;
    const pace = new Pace();
    for (;;) {
      const kubeletGone = await this.#kubelet.arrival(stop);
      if (kubeletGone === undefined) return;
      this.#outdated = new AbortController();
      const over = AbortSignal.any([stop, kubeletGone, this.#outdated.signal]);
      const { error, heldMs } = await this.#registration(over);
      this.#events.lost(this.#resource, error);
      if (over.aborted) {
        pace.reset();
        continue;
      }
      const pause = heldMs === undefined ? pace.afterFailure() : pace.afterEnd(heldMs);
      await delay(pause, AbortSignal.any([stop, kubeletGone]));
    }
  }

  /** One registration from beginning to end. The old server is closed before the next begins: the kubelet knows plug-ins by name only. */
  async #registration(over: AbortSignal): Promise<Outcome> {
    try {
      const socket = join(this.#kubelet.directory, this.#endpoint);
      this.#server = await PluginServer.listen(socket, this.#service);
      await this.#register(over);
      await this.#stream(this.#server, over);
      const followedAt = performance.now();
      this.#events.registered(this.#resource);
      const what = await this.#end(this.#server.ended, socket, over);
      const error = over.aborted ? undefined : this.#trouble('KUBELET_STREAM_MISSING', what);
      return { error, heldMs: performance.now() - followedAt };
    } catch (error) {
      return { error: over.aborted ? undefined : error, heldMs: undefined };
    } finally {
      const server = this.#server;
      this.#server = undefined;
      await server?.close(CLOSE_GRACE_MS);
    }
  }

  /** Waits for whatever ends a registration that came about, and says what it was. */
  async #end(streamEnded: Promise<void>, socket: string, over: AbortSignal): Promise<string> {
    const enough = new AbortController();
    const ends = [
      streamEnded.then(() => 'its ListAndWatch stream ended'),
      this.#kubelet
        .abandoned(socket, AbortSignal.any([over, enough.signal]))
        .then(() => 'its socket is gone: another agent took its place and ended'),
    ];
    try {
      return await Promise.race(ends);
    } finally {
      enough.abort();
    }
  }

  async #register(over: AbortSignal): Promise<void> {
    const request = {
      version: VERSION,
      endpoint: this.#endpoint,
      resourceName: this.#resource,
      options: this.#service.options(),
    };
    try {
      await callOnce(this.#kubelet.path, registration.register, request, {
        timeoutMs: REGISTER_TIMEOUT_MS,
        signal: over,
      });
    } catch (error) {
      throw this.#trouble('KUBELET_REGISTER_FAILED', 'the kubelet did not accept it', error);
    }
  }

  async #stream(server: PluginServer, over: AbortSignal): Promise<void> {
    if (!(await within(STREAM_TIMEOUT_MS, server.opened, over)))
      throw this.#trouble('KUBELET_STREAM_MISSING', 'the kubelet accepted it but opened no ListAndWatch stream');
  }

  #trouble(code: 'KUBELET_REGISTER_FAILED' | 'KUBELET_STREAM_MISSING', what: string, cause?: unknown): AgentError {
    return new AgentError(code, `registration of ${this.#resource}: ${what}`, { resource: this.#resource }, cause);
  }

  /** A file name of its own for each resource. */
  get #endpoint(): string {
    return `${this.#resource.replaceAll('/', '_')}.sock`;
  }
}
