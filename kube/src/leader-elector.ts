// One of several replicas leads, by a Lease. Other clocks are never believed: only what this process saw change, and when.
import type { CallOptions, KubeApi } from './api.ts';
import { jittered } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { KubeError, isKubeError } from './error.ts';
import { type Lease, leases, microTime } from './lease.ts';
import type { ObjectName } from './object.ts';

export interface LeaderElectorOptions {
  api: KubeApi;
  lease: Required<ObjectName>;
  /** Unique to this process: the pod's name and its uid. */
  identity: string;
  /** Whether a holder is certain to have ended: then its Lease need not run out first. */
  hasEnded?: (holder: string) => boolean;
  onElected: () => void;
  /** Leadership is gone without having been given up. Stop acting: exit the process. */
  onLost: (error: KubeError) => void;
  /** Told of each failed attempt, which is then retried; for logs and metrics. */
  onError: (error: unknown) => void;
  /** Defaults are client-go's: 15 s, 10 s, 2 s. */
  leaseDurationMs?: number;
  renewDeadlineMs?: number;
  retryMs?: number;
  clock?: Clock;
}

/** Field manager of the Lease. The identity would not do: it may be longer than the 128 characters allowed. */
const fieldManager = 'leader-elector';

export class LeaderElector {
  readonly #options: LeaderElectorOptions;
  readonly #clock: Clock;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  /** The Lease as last seen, and when we first saw this version of it. */
  #seen: { lease: Lease; at: number } | undefined;
  /** What we saw may be out of date: a failed request may have been carried out all the same. */
  #rereadNext = true;
  /** When the request that last gave or renewed our leadership was sent. */
  #heldSince: number | undefined;

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryMs = options.retryMs ?? 2_000;
  }

  /** True only while the renewal deadline has not passed, even if this process was held up meanwhile. */
  get isLeader(): boolean {
    return this.#leftMs() > 0;
  }

  /** Who holds the Lease, as last seen. */
  get leader(): string | undefined {
    return this.#seen?.lease.spec?.holderIdentity;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives the Lease back if it is held, so that another replica takes over at once. onLost is not called. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.isLeader) {
      await this.#attempt(this.#renewDeadlineMs);
      if (!this.isLeader) await sleep(this.#clock, jittered(this.#retryMs, 0.2), signal);
    }
    if (!signal.aborted) this.#options.onElected();
    while (!signal.aborted && this.isLeader) {
      await sleep(this.#clock, Math.min(this.#retryMs, this.#leftMs()), signal);
      if (!signal.aborted && this.isLeader) await this.#attempt(this.#leftMs());
    }
    if (signal.aborted) await this.#release();
    else this.#options.onLost(this.#lost());
  }

  #leftMs(): number {
    return this.#heldSince === undefined ? 0 : this.#heldSince + this.#renewDeadlineMs - this.#clock.now();
  }

  async #attempt(timeoutMs: number): Promise<void> {
    try {
      await this.#acquireOrRenew(timeoutMs);
    } catch (error) {
      this.#rereadNext = true;
      if (!this.#stopping.signal.aborted) this.#options.onError(error);
    }
  }

  async #acquireOrRenew(timeoutMs: number): Promise<void> {
    const { api, lease } = this.#options;
    const call = { timeoutMs, signal: this.#stopping.signal, fieldManager };
    if (this.#rereadNext || !this.isLeader) await this.#look(call);

    const sentAt = this.#clock.now();
    const seen = this.#seen?.lease;
    const spec = this.#renewedSpec(seen);
    if (seen === undefined) {
      this.#saw(await api.create(leases, { metadata: lease, spec }, call));
    } else {
      if (!this.#mayTake(seen)) {
        this.#heldSince = undefined;
        return;
      }
      const { resourceVersion = '' } = seen.metadata;
      this.#saw(await api.patch(leases, lease, { metadata: { resourceVersion }, spec }, call));
    }
    this.#heldSince = sentAt;
  }

  async #look(call: CallOptions): Promise<void> {
    const { api, lease } = this.#options;
    try {
      this.#saw(await api.get(leases, lease, call));
    } catch (error) {
      if (!isKubeError(error, 'KUBE_NOT_FOUND')) throw error;
      this.#seen = undefined;
    }
    this.#rereadNext = false;
  }

  #saw(lease: Lease): void {
    if (this.#seen?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#seen = { lease, at: this.#clock.now() };
  }

  #mayTake({ spec }: Lease): boolean {
    const { identity, hasEnded } = this.#options;
    const holder = spec?.holderIdentity;
    if (!holder || holder === identity || hasEnded?.(holder)) return true;
    const durationMs = (spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#clock.now() - (this.#seen?.at ?? 0) > durationMs;
  }

  #renewedSpec(seen: Lease | undefined): NonNullable<Lease['spec']> {
    const { identity } = this.#options;
    const now = microTime(this.#clock.wallTime());
    const ours = seen?.spec?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
      renewTime: now,
      acquireTime: ours ? (seen.spec?.acquireTime ?? now) : now,
      leaseTransitions: (seen?.spec?.leaseTransitions ?? 0) + (ours || seen === undefined ? 0 : 1),
    };
  }

  async #release(): Promise<void> {
    const { api, lease, identity, onError } = this.#options;
    const call = { timeoutMs: this.#retryMs, fieldManager };
    this.#heldSince = undefined;
    try {
      if (this.#rereadNext) await this.#look(call);
      const seen = this.#seen?.lease;
      if (seen?.spec?.holderIdentity !== identity) return;
      const { resourceVersion = '' } = seen.metadata;
      const spec = { holderIdentity: null, leaseDurationSeconds: 1, renewTime: microTime(this.#clock.wallTime()) };
      await api.patch(leases, lease, { metadata: { resourceVersion }, spec }, call);
    } catch (error) {
      onError(error); // it runs out by itself
    }
  }

  #lost(): KubeError {
    const { namespace, name } = this.#options.lease;
    const holder = this.leader;
    const why =
      holder !== undefined && holder !== this.#options.identity
        ? `${holder} holds it now`
        : `it could not be renewed for ${this.#renewDeadlineMs / 1000} s`;
    return new KubeError('KUBE_LEADERSHIP_LOST', `leadership by Lease ${namespace}/${name} is lost: ${why}`);
  }
}
