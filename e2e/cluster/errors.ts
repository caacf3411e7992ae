// What only the cluster rig can meet; what every rig meets is in ../rig/errors.ts.

import { errorsOf } from '../rig/errors.ts';

export const clusterError = errorsOf({
  NOT_ROOT: (f: { uid: number }) =>
    `the cluster rig makes network namespaces, mounts and cgroups: run it as root (this is uid ${f.uid})`,
  MACHINE_UNSUPPORTED: (f: { what: string; found: string; needed: string }) =>
    `the cluster rig needs ${f.what} ${f.needed}, this machine has ${f.found}`,
  GO_MISSING: (f: { looked: string }) =>
    `no usable Go found (looked at ${f.looked}): install Go 1.26 or later from https://go.dev/dl/ and put it on PATH`,
  INTEGRITY_MISMATCH: (f: { what: string; expected: string; found: string }) =>
    `${f.what} is not the file that was pinned: expected ${f.expected}, got ${f.found}`,
  PROCESS_EXITED: (f: { name: string; log: string }) => `${f.name} ended by itself; its log is ${f.log}`,
  STILL_MOUNTED: (f: { mounts: string }) => `${f.mounts} could not be unmounted; nothing below was deleted`,
  KUBELET_ROOT_IN_USE: (f: { path: string }) =>
    `${f.path} exists and is not of this rig: another kubelet may be using it; remove it if it is a leftover`,
  NETWORK_IN_USE: (f: { needed: string; found: string; link: string }) =>
    `the cluster needs the addresses ${f.needed} for itself, and ${f.link} of this machine has ${f.found}: take that one away or change node/layout.ts`,
  NOT_UP: (f: { trouble: string }) =>
    `the cluster is not up (${f.trouble}): start it with "node e2e/cluster/cli.ts up"`,
  STATE_UNREADABLE: (f: { file: string; problem: string }) =>
    `${f.file} ${f.problem}: "node e2e/cluster/cli.ts down" clears the cluster away all the same, but cannot put back the kernel settings that the kubelet changed`,
});
