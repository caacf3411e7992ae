// Kubernetes Events (events.k8s.io/v1) about objects. Best effort: recording never fails or holds up its caller.
import type { KubeApi } from './api.ts';
import type { Clock } from './clock.ts';
import type { KubeError } from './error.ts';
import type { KubeObject } from './object.ts';

/** What an event is about: an object as read from the server. Events of cluster-scoped objects go to `default`. */
export type Regarding = Pick<KubeObject, 'apiVersion' | 'kind'> & {
  metadata: Pick<KubeObject['metadata'], 'name' | 'namespace' | 'uid'>;
};

export interface Happening {
  type: 'Normal' | 'Warning';
  /** One CamelCase word: why. */
  reason: string;
  /** One CamelCase word: what the reporter did or was doing. */
  action: string;
  /** A sentence for people; cut at 1024 bytes, the server's limit. */
  note: string;
}

export interface EventRecorderOptions {
  api: KubeApi;
  /** Such as `datadirect.dev/operator`. */
  reportingController: string;
  /** This replica: the pod's name. */
  reportingInstance: string;
  onError: (error: KubeError) => void;
  clock?: Clock;
}

export declare class EventRecorder {
  constructor(options: EventRecorderOptions);
  /** The same happening about the same object within 6 minutes is counted in one Event's series, not written anew. */
  record(regarding: Regarding, happening: Happening): void;
  /** Happenings not written: over the object's rate (25 at once, then one in 5 min), over the queue's limit, or refused. */
  get dropped(): number;
  /** Writes what waits, for at most 5 s. */
  stop(): Promise<void>;
}
