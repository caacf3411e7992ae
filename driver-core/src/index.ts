// The face of driver-core.
export { Errno, refused } from './host/host.ts';
export type { Answer, Clock, Device, Dmabuf, Files, Host, Pointer, Uevent } from './host/host.ts';
export { leave } from './host/leave.ts';
export { openLinuxHost } from './host/linux.ts';
export type { LinuxHostOptions } from './host/linux.ts';
export { follow } from './path/follow.ts';
export type { FollowOptions, Trigger } from './path/follow.ts';
export { Observer } from './path/observe.ts';
export type { RoundOptions } from './path/observe.ts';
export type { DmaFunction, Evidence, GpuFunction, NicFunction, Path, VerificationLevel } from './path/path.ts';

export { applyChange, CHANGES, partsOf } from './virtual/changes.ts';
export type { Change, ChangeKind, Part } from './virtual/changes.ts';
export { runVirtual } from './virtual/cli.ts';
export { ManualClock } from './virtual/clock.ts';
export { CONTROL_SOCKET, requestChange, requestParts, serveControl } from './virtual/control.ts';
export type { Control } from './virtual/control.ts';
export { VirtualError } from './virtual/errors.ts';
export { createVirtualHost, VirtualHost } from './virtual/host.ts';
export type { VirtualHostOptions } from './virtual/host.ts';
export { FIXTURE_NAMES, loadFixture } from './virtual/load.ts';
export type { Fixture } from './virtual/fixture.ts';
