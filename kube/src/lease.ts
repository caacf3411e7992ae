// coordination.k8s.io/v1 Lease, and a heartbeat written into one. Election is in leader-elector.ts.
import type { KubeApi } from './api.ts';
import type { Clock } from './clock.ts';
import type { KubeError } from './error.ts';
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
  onError: (error: KubeError) => void;
  clock?: Clock;
}

/** Renews a Lease for as long as it runs. Who reads it judges by when *they* saw it change, not by the times inside. */
export declare class LeaseHeartbeat {
  constructor(options: LeaseHeartbeatOptions);
  start(): void;
  stop(): Promise<void>;
}
