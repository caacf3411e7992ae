// One of several replicas leads, by a Lease. Other clocks are never believed: only what this process saw change, and when.
import type { KubeApi } from './api.ts';
import type { Clock } from './clock.ts';
import type { KubeError } from './error.ts';
import type { ObjectName } from './object.ts';

export interface LeaderElectorOptions {
  api: KubeApi;
  lease: Required<ObjectName>;
  /** Unique to this process: the pod's name and its uid. */
  identity: string;
  onElected: () => void;
  /** Leadership is gone without having been given up. Stop acting: exit the process. */
  onLost: (error: KubeError) => void;
  /** Told of each failed attempt, which is then retried; for logs and metrics. */
  onError: (error: KubeError) => void;
  /** Defaults are client-go's: 15 s, 10 s, 2 s. */
  leaseDurationMs?: number;
  renewDeadlineMs?: number;
  retryMs?: number;
  clock?: Clock;
}

export declare class LeaderElector {
  constructor(options: LeaderElectorOptions);
  /** True only while the renewal deadline has not passed, even if this process was held up meanwhile. */
  get isLeader(): boolean;
  /** Who holds the Lease, as last seen. */
  get leader(): string | undefined;
  start(): void;
  /** Gives the Lease back if it is held, so that another replica takes over at once. onLost is not called. */
  stop(): Promise<void>;
}
