// Every way in which the rig refuses or gives up: a stable code and one sentence for each.

const sentences = {
  NOT_ROOT: (f: { uid: number }) =>
    `the cluster rig makes network namespaces, mounts and cgroups: run it as root (this is uid ${f.uid})`,
  MACHINE_UNSUPPORTED: (f: { what: string; found: string; needed: string }) =>
    `the cluster rig needs ${f.what} ${f.needed}, this machine has ${f.found}`,
  GO_MISSING: (f: { looked: string }) =>
    `no usable Go found (looked at ${f.looked}): install Go 1.26 or later from https://go.dev/dl/ and put it on PATH`,
  COMMAND_MISSING: (f: { command: string }) => `${f.command} is not on PATH: install it`,
  COMMAND_FAILED: (f: { command: string; outcome: string; tail: string }) =>
    `${f.command} ${f.outcome}${f.tail === '' ? '' : `:\n${f.tail}`}`,
  INTEGRITY_MISMATCH: (f: { what: string; expected: string; found: string }) =>
    `${f.what} is not the file that was pinned: expected ${f.expected}, got ${f.found}`,
  LOCK_TIMED_OUT: (f: { file: string; seconds: number }) =>
    `another run held ${f.file} for ${f.seconds} s: wait for it or end it`,
  WAIT_TIMED_OUT: (f: { what: string; seconds: number; last: string }) =>
    `${f.what} did not happen within ${f.seconds} s; last seen: ${f.last}`,
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
  USAGE: (f: { problem: string; usage: string }) => `${f.problem}\n${f.usage}`,
} as const;

type Sentences = typeof sentences;
export type RigErrorCode = keyof Sentences;
type Fields<C extends RigErrorCode> = Parameters<Sentences[C]>[0];

export class RigError<C extends RigErrorCode = RigErrorCode> extends Error {
  readonly code: C;
  readonly fields: Fields<C>;

  constructor(code: C, fields: Fields<C>, options?: ErrorOptions) {
    super((sentences[code] as (f: Fields<C>) => string)(fields), options);
    this.name = 'RigError';
    this.code = code;
    this.fields = fields;
  }
}
