// The face of driver-core.
export { Errno, refused } from './host/host.ts';
export type { Answer, Clock, Device, Dmabuf, Files, Host, Pointer, Uevent } from './host/host.ts';
export { follow } from './path/follow.ts';
export type { FollowOptions, Trigger } from './path/follow.ts';
export { Observer } from './path/observe.ts';
export type { RoundOptions } from './path/observe.ts';
export type { DmaFunction, Evidence, GpuFunction, NicFunction, Path, VerificationLevel } from './path/path.ts';

export { createVirtualHost, VirtualHost } from './virtual/host.ts';
export type { VirtualHostOptions } from './virtual/host.ts';
export { FIXTURE_NAMES, loadFixture } from './virtual/load.ts';
export type { Fixture } from './virtual/fixture.ts';
