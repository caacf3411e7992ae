// The face of this room: talking to an API server. Nothing here knows Data Direct.
export type { Clock } from './clock.ts';
export { systemClock, sleep } from './clock.ts';
export type { Asked, KubeErrorCode } from './error.ts';
export { KubeError, isKubeError } from './error.ts';
export type {
  Intent,
  KubeObject,
  MergePatch,
  ObjectMeta,
  ObjectName,
  OwnerReference,
  Plain,
  Resource,
} from './object.ts';
export { keyOf, nameOfKey } from './object.ts';
export type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeApi,
  ObjectList,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api.ts';
export type { Connection } from './connection.ts';
export { inCluster } from './connection.ts';
export type { ConnectOptions } from './connect.ts';
export { connect } from './connect.ts';
export type { Change, ReflectorHealth, ReflectorOptions } from './reflector.ts';
export { Reflector } from './reflector.ts';
export type { WorkQueueOptions } from './work-queue.ts';
export { WorkQueue } from './work-queue.ts';
export type { Lease, LeaseHeartbeatOptions } from './lease.ts';
export { LeaseHeartbeat, leases, microTime } from './lease.ts';
export type { LeaderElectorOptions } from './leader-elector.ts';
export { LeaderElector } from './leader-elector.ts';
export type { EventRecorderOptions, Happening, KubeEvent, Regarding } from './event-recorder.ts';
export { EventRecorder, events } from './event-recorder.ts';
export type { AccessOptions } from './access.ts';
export { accessReview } from './access.ts';
