// The parts that are built from Go modules. Each has a folder beside this file whose go.mod and go.sum pin it.

import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterError } from '../errors.ts';
import { run } from '../../rig/run.ts';
import { versions } from '../versions.ts';
import type { Part, PartName } from './parts.ts';

interface GoPart {
  readonly name: PartName;
  readonly version: string;
  /** By the name of the program. */
  readonly packages: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

const containerd = 'github.com/containerd/containerd/v2';
const kubernetes = 'k8s.io/kubernetes/cmd';
const kubernetesVersion = 'k8s.io/component-base/version';
const [major, minor] = versions.kubernetes.split('.') as [string, string];

const parts: readonly GoPart[] = [
  {
    name: 'etcd',
    version: versions.etcd,
    packages: { etcd: 'go.etcd.io/etcd/server/v3' },
    tags: [],
    variables: {},
  },
  {
    name: 'containerd',
    version: versions.containerd,
    packages: {
      containerd: `${containerd}/cmd/containerd`,
      'containerd-shim-runc-v2': `${containerd}/cmd/containerd-shim-runc-v2`,
      ctr: `${containerd}/cmd/ctr`,
    },
    tags: ['no_btrfs', 'no_devmapper', 'no_zfs'], // snapshotters that need C libraries; the rig uses overlayfs
    variables: { [`${containerd}/version.Version`]: `v${versions.containerd}` },
  },
  {
    name: 'kubernetes',
    version: versions.kubernetes,
    packages: Object.fromEntries(
      ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler', 'kubelet'].map((name) => [
        name,
        `${kubernetes}/${name}`,
      ]),
    ),
    tags: [],
    // Without these the node calls itself v0.0.0 and the version checks of kubectl and Helm go wrong.
    variables: {
      [`${kubernetesVersion}.gitVersion`]: `v${versions.kubernetes}`,
      [`${kubernetesVersion}.gitMajor`]: major,
      [`${kubernetesVersion}.gitMinor`]: minor,
    },
  },
];

/** Static programs: they run the same with any libc, and no C compiler is needed. */
const environment = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '', GOTOOLCHAIN: 'auto' };
const buildTimeoutMs = 45 * 60_000;

export function goBuildArguments(part: GoPart, output: string): string[] {
  const variables = Object.entries(part.variables).map(([name, value]) => `-X ${name}=${value}`);
  return [
    'build',
    '-v',
    '-mod=readonly',
    '-trimpath',
    '-buildvcs=false',
    `-tags=${part.tags.join(',')}`,
    `-ldflags=${['-s -w', ...variables].join(' ')}`,
    `-o=${output}`,
    ...Object.values(part.packages),
  ];
}

export const goParts: readonly Part[] = parts.map((part) => {
  const folder = join(import.meta.dirname, part.name);
  return {
    name: part.name,
    version: part.version,
    about: `building ${part.name} ${part.version} from Go modules (${Object.keys(part.packages).join(', ')})`,
    inputs: async () => [
      process.arch,
      JSON.stringify([environment.CGO_ENABLED, goBuildArguments(part, '')]),
      ...(await Promise.all(['go.mod', 'go.sum'].map((file) => readFile(join(folder, file), 'utf8')))),
    ],
    async build(directory, step, signal) {
      const go = await findGo();
      let compiled = 0;
      await run(go, goBuildArguments(part, `${directory}/`), {
        diesWithRig: true, // a killed run must not go on using the machine
        cwd: folder,
        env: environment,
        timeoutMs: buildTimeoutMs,
        signal,
        onStderrLine: (line) => step.note(line.startsWith('go: ') ? line : `${++compiled} packages compiled`),
      });
      await nameAfterProgram(directory, part);
    },
  };
});

/** `go build` calls a single program after its package: go.etcd.io/etcd/server/v3 becomes "server". */
async function nameAfterProgram(directory: string, part: GoPart): Promise<void> {
  for (const [program, path] of Object.entries(part.packages)) {
    const built =
      path
        .replace(/\/v\d+$/, '')
        .split('/')
        .at(-1) ?? program;
    if (built !== program) await rename(join(directory, built), join(directory, program));
  }
}

/** From 1.21 on, Go fetches the very toolchain that go.mod names by itself; older ones do not understand the file. */
export async function findGo(): Promise<string> {
  const places = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go'];
  for (const place of places) {
    const version = await run(place, ['env', 'GOVERSION']).then(
      ({ stdout }) => /^go1\.(\d+)/.exec(stdout)?.[1],
      () => undefined,
    );
    if (version !== undefined && Number(version) >= 21) return place;
  }
  throw clusterError('GO_MISSING', { looked: places.join(', ') });
}
