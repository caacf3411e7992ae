// coordination.k8s.io/v1 Lease, and a heartbeat written into one. Election is in leader-elector.ts.
import type { KubeApi } from './api.ts';
import { jittered, retryDelay } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import type { KubeObject, ObjectName, OwnerReference, Resource } from './object.ts';

export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export const leases: Resource<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};

/** metav1.MicroTime: RFC 3339 with six decimals, which the server demands. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}

export interface LeaseHeartbeatOptions {
  api: KubeApi;
  lease: Required<ObjectName>;
  fieldManager: string;
  holderIdentity: string;
  labels?: Record<string, string>;
  /** The Lease goes when its owner goes. */
  ownerReferences?: OwnerReference[];
  /** Time between beats, each ± 20 %. Default 5 min. */
  periodMs?: number;
  /** Told of each beat that failed and is tried again; for logs and metrics. */
  onError: (error: unknown) => void;
  clock?: Clock;
}

const retry = { firstMs: 1_000, maxMs: 60_000 };
/** A reader that goes by the Lease's own duration misses two beats before it doubts. */
const beatsPerDuration = 3;

/** Renews a Lease for as long as it runs. Who reads it judges by when *they* saw it change, not by the times inside. */
export class LeaseHeartbeat {
  readonly #options: LeaseHeartbeatOptions;
  readonly #clock: Clock;
  readonly #periodMs: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: LeaseHeartbeatOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#periodMs = options.periodMs ?? 300_000;
  }

  /** Beats at once and then for ever; again while it runs does nothing. */
  start(): void {
    this.#running ??= this.#beatOn();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #beatOn(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      let wait = jittered(this.#periodMs, 0.2);
      try {
        await this.#beat(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        wait = retryDelay(++failures, retry, error);
        this.#options.onError(error);
      }
      await sleep(this.#clock, wait, signal);
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { api, lease, labels, ownerReferences, holderIdentity, fieldManager } = this.#options;
    const intent = {
      metadata: { ...lease, ...(labels && { labels }), ...(ownerReferences && { ownerReferences }) },
      spec: {
        holderIdentity,
        leaseDurationSeconds: Math.round((this.#periodMs * beatsPerDuration) / 1000),
        renewTime: microTime(this.#clock.wallTime()),
      },
    };
    // By force: this Lease is ours alone, and an earlier version of us may have written it under another name.
    await api.apply(leases, intent, { fieldManager, force: true, signal });
  }
}
