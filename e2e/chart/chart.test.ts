// What `helm install` would send, read field by field. Whether a cluster takes it and it runs is told by the suite in e2e/cluster.
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { heartbeatLease } from '@data-direct/crds';
import type {
  V1Container,
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1Job,
  V1PodSpec,
} from '@kubernetes/client-node';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';

import { type Rendered, chartDirectory, helm, namespace, render } from './render.ts';

const manifests = join(import.meta.dirname, '../../crds/manifests');
const virtualTray = { virtualHost: { fixture: 'gb300-tray' } };

let onHardware: Rendered;
let onVirtualTray: Rendered;
beforeAll(async () => {
  [onHardware, onVirtualTray] = await Promise.all([render(), render(virtualTray)]);
}, 300_000);

function agentTemplate(rendered: Rendered): unknown {
  return rendered.the('DaemonSet', '-agent').spec?.template;
}

function agentPod(rendered: Rendered): V1PodSpec {
  return podOf(rendered.the('DaemonSet', '-agent'));
}

function podOf({ spec }: V1DaemonSet | V1Deployment | V1Job): V1PodSpec {
  const pod = spec?.template.spec;
  if (!pod) throw new Error('no pod template');
  return pod;
}

function onlyContainer({ containers }: V1PodSpec): V1Container {
  const [container] = containers;
  if (!container || containers.length > 1) throw new Error(`${containers.length} containers`);
  return container;
}

/** `mount point ← path on the node`, with ro where the container cannot write. */
function hostMounts(pod: V1PodSpec): string[] {
  const paths = new Map(pod.volumes?.map(({ name, hostPath }) => [name, hostPath?.path]));
  return (onlyContainer(pod).volumeMounts ?? []).flatMap(({ name, mountPath, readOnly }) => {
    const path = paths.get(name);
    return path === undefined ? [] : [`${mountPath} ← ${path}${readOnly ? ' ro' : ''}`];
  });
}

function configOf(rendered: Rendered, component: string): unknown {
  const { data } = rendered.the('ConfigMap', `-${component}`);
  const [text] = Object.values(data ?? {});
  return JSON.parse(text ?? '');
}

/** As it is mounted into the pod; gone after the test. */
async function configFile(rendered: Rendered, component: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'data-direct-config-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, 'config.json');
  await writeFile(file, JSON.stringify(configOf(rendered, component)));
  return file;
}

/** By the program's own reader, which the room keeps to itself. It refuses unknown fields and missing variables. */
async function read(room: string, file: string, environment: Record<string, string> = {}): Promise<unknown> {
  type Reader = { readConfig: (path: string, variables: Record<string, string>) => unknown };
  const { readConfig } = (await import(join(import.meta.dirname, `../../${room}/src/config.ts`))) as Reader;
  return readConfig(file, environment);
}

/** Of monitoring.coreos.com/v1 (pkg/apis/monitoring/v1/podmonitor_types.go), as far as we may use them: an unknown one is dropped without a word. */
const podMonitorFields = {
  podMonitor: ['podMetricsEndpoints', 'selector'],
  endpoint: ['port', 'scheme', 'interval', 'tlsConfig', 'authorization', 'relabelings'],
};

/** `group/resource: verbs`, sorted; with [names] where they are limited. */
function rightsOf(component: string): string[] {
  const roles = [...onHardware.all('ClusterRole'), ...onHardware.all('Role')];
  return roles
    .filter(({ metadata }) => metadata?.labels?.['app.kubernetes.io/component'] === component)
    .flatMap(({ metadata, rules }) => (rules ?? []).map((rule) => ({ where: metadata?.namespace ?? 'cluster', rule })))
    .flatMap(({ where, rule: { apiGroups = [''], resources = [], resourceNames, verbs } }) =>
      resources.map((resource) => {
        const names = resourceNames ? `[${resourceNames.join()}]` : '';
        return `${where} ${apiGroups.join()}/${resource}${names}: ${verbs.join(' ')}`;
      }),
    )
    .toSorted();
}

/** Every scalar of an object, with its path. */
function* leaves(value: unknown, path: string): Generator<[path: string, value: unknown]> {
  if (typeof value !== 'object' || value === null) yield [path, value];
  else for (const [key, inner] of Object.entries(value)) yield* leaves(inner, `${path}.${key}`);
}

function crdNames(rendered: Rendered): (string | undefined)[] {
  return rendered.all('CustomResourceDefinition').map(({ metadata }) => metadata?.name);
}

test('helm lint has nothing to complain of', async () => {
  await expect(helm(['lint', '--strict', chartDirectory])).resolves.toContain('0 chart(s) failed');
});

test('Kubernetes 1.31 is refused', async () => {
  await expect(render({}, { arguments: ['--kube-version', '1.31.9'] })).rejects.toThrow(/requires kubeVersion/);
});

describe('every object', () => {
  test('says whose it is', () => {
    for (const { kind, metadata } of onHardware.objects) {
      expect([kind, metadata?.labels]).toEqual([
        kind,
        expect.objectContaining({
          'app.kubernetes.io/name': 'data-direct',
          'app.kubernetes.io/instance': 'data-direct',
          'app.kubernetes.io/managed-by': 'Helm',
        }),
      ]);
    }
  });

  test('is in the release’s namespace, but for the right to write Events about cluster-scoped objects', () => {
    const elsewhere = onHardware.objects.filter(
      ({ metadata }) => metadata?.namespace && metadata.namespace !== namespace,
    );
    expect(elsewhere.map(({ kind, metadata }) => `${kind} ${metadata?.namespace}/${metadata?.name}`)).toEqual([
      'Role default/data-direct-operator-events',
      'RoleBinding default/data-direct-operator-events',
    ]);
  });

  test.each([`r${'-long'.repeat(10)}`, `${'r'.repeat(44)}.long`, '0', 'a.b'])(
    'has a name that Kubernetes takes, in a release called %s',
    async (release) => {
      const { objects } = await render({}, { release });
      const names = objects
        .filter(({ kind }) => kind !== 'CustomResourceDefinition')
        .map(({ metadata }) => metadata?.name ?? '');
      const legal = /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
      expect(names.filter((name) => !legal.test(name))).toEqual([]);
    },
  );

  test('has names and labels that are strings, also where YAML would take them for something else', async () => {
    const { objects } = await render(
      {
        nameOverride: '1e3',
        fullnameOverride: '123',
        agent: { priorityClassName: 'true', cdiDir: '/run/cdi: mine' },
        operator: { priorityClassName: 'null' },
        kubeletRootDir: '/kubelet: root',
        metrics: { tlsSecret: '0x10', podMonitor: { enabled: true } },
      },
      { release: 'true', arguments: ['--namespace', '456'] },
    );
    const odd = objects
      .filter(({ kind }) => kind !== 'CustomResourceDefinition')
      .flatMap((object) => [...leaves(object, object.kind ?? '')])
      .filter(([path, value]) => /(ame|amespace|Path|path)$|abels/.test(path) && typeof value !== 'string');
    expect(odd).toEqual([]);
  });
});

describe('the agent', () => {
  test('runs on every node, also on tainted ones, before ordinary pods, and without the host’s network', () => {
    const pod = agentPod(onHardware);
    expect(pod).toMatchObject({ tolerations: [{ operator: 'Exists' }], priorityClassName: 'system-node-critical' });
    expect([pod.hostNetwork, pod.hostPID, pod.hostIPC]).toEqual([undefined, undefined, undefined]);
  });

  test('sees of its node what it reads, and writes only sockets and its checkpoint', () => {
    expect(hostMounts(agentPod(onHardware))).toEqual([
      '/var/lib/kubelet/device-plugins ← /var/lib/kubelet/device-plugins',
      '/var/lib/kubelet/pod-resources ← /var/lib/kubelet/pod-resources ro',
      '/var/lib/data-direct ← /var/lib/data-direct',
      '/var/run/cdi ← /var/run/cdi',
      '/host/sys ← /sys ro',
      '/host/dev ← /dev ro',
      '/host/proc/1/net ← /proc/1/net ro',
    ]);
  });

  test('with a virtual tray sees nothing of the hardware and has one capability', () => {
    expect(hostMounts(agentPod(onVirtualTray))).toEqual([
      '/var/lib/kubelet/device-plugins ← /var/lib/kubelet/device-plugins',
      '/var/lib/kubelet/pod-resources ← /var/lib/kubelet/pod-resources ro',
      '/var/lib/data-direct ← /var/lib/data-direct',
      '/var/run/cdi ← /var/run/cdi',
      '/var/lib/data-direct-virtual ← /var/lib/data-direct-virtual',
    ]);
    expect(onlyContainer(agentPod(onVirtualTray)).securityContext).toEqual({
      runAsUser: 0,
      runAsGroup: 0,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: ['MKNOD'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('with the minimal profile has no capability at all, and sees of its node what it always sees', async () => {
    const pod = agentPod(await render({ agent: { profile: 'minimal' } }));
    expect(hostMounts(pod)).toEqual(hostMounts(agentPod(onHardware)));
    expect(onlyContainer(pod).securityContext).toEqual({
      runAsUser: 0,
      runAsGroup: 0,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('is fenced in by an admission policy for its own account', () => {
    const policy = onHardware.the('ValidatingAdmissionPolicy', '-agent');
    expect(policy.spec).toMatchObject({
      failurePolicy: 'Fail',
      matchConditions: [
        { expression: "request.userInfo.username == 'system:serviceaccount:data-direct:data-direct-agent'" },
      ],
    });
    // The rule of crds/src/heartbeat.ts.
    const longest = [...Array(254).keys()].findLast((length) => heartbeatLease('n'.repeat(length)).length > length);
    expect(policy.spec?.variables?.find(({ name }) => name === 'isOwnHeartbeat')?.expression).toContain(
      `variables.name == (size(node) > ${longest} ? node : '${heartbeatLease('')}' + node)`,
    );
  });

  test('looks into the node’s /usr where its rdma-core is mounted into containers, and not without CDI', async () => {
    const rendered = await render({ agent: { rdmaCore: { mount: true } } });
    expect(hostMounts(agentPod(rendered))).toContain('/host/root/usr ← /usr ro');
    expect(configOf(rendered, 'agent')).toMatchObject({ rdmaCore: { root: '/host/root', oldestGlibc: '2.34' } });
    await expect(render({ agent: { cdiDir: '', rdmaCore: { mount: true } } })).rejects.toThrow(
      'agent.rdmaCore.mount needs agent.cdiDir',
    );
    await expect(render({ agent: { rdmaCore: { oldestGlibc: 2.34 } } })).rejects.toThrow(/oldestGlibc.*string/s);
  });

  test('finds pod-resources below another kubelet root, and the plugin sockets where the kubelet always has them', async () => {
    const mounts = hostMounts(agentPod(await render({ kubeletRootDir: '/var/lib/k0s/kubelet' })));
    expect(mounts.slice(0, 2)).toEqual([
      '/var/lib/kubelet/device-plugins ← /var/lib/kubelet/device-plugins',
      '/var/lib/kubelet/pod-resources ← /var/lib/k0s/kubelet/pod-resources ro',
    ]);
  });

  test('is never there twice on a node, also while it is upgraded', () => {
    const { spec } = onHardware.the('DaemonSet', '-agent');
    expect(spec?.updateStrategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } });
  });

  test('restarts for a changed configuration, and not for a new chart of the same image', async () => {
    const newer = await mkdtemp(join(tmpdir(), 'data-direct-chart-'));
    onTestFinished(() => rm(newer, { recursive: true }));
    await cp(chartDirectory, newer, { recursive: true });
    const chart = await readFile(join(newer, 'Chart.yaml'), 'utf8');
    await writeFile(join(newer, 'Chart.yaml'), chart.replace(/^version: .*$/m, 'version: 99.0.0'));

    const [sameImage, otherConfig] = await Promise.all([render({}, { chart: newer }), render({ logLevel: 'debug' })]);
    expect(agentTemplate(sameImage)).toEqual(agentTemplate(onHardware));
    expect(agentTemplate(otherConfig)).not.toEqual(agentTemplate(onHardware));
  });

  test.each([
    ['on hardware', {}, { hostRoots: { sysfs: '/host/sys', proc: '/host/proc/1', dev: '/host/dev' } }],
    [
      'with the node’s rdma-core',
      { agent: { rdmaCore: { mount: true, oldestGlibc: '2.35' } } },
      { rdmaCore: { root: '/host/root', oldestGlibc: '2.35' } },
    ],
    ['with a virtual tray', virtualTray, { virtualHost: { fixture: 'gb300-tray' } }],
  ])('takes the configuration that it is given %s', async (_, values, expected) => {
    const rendered = await render(values);
    const variables = onlyContainer(agentPod(rendered)).env ?? [];
    const environment = Object.fromEntries(variables.map(({ name }) => [name, 'set']));
    expect(await read('device-plugin', await configFile(rendered, 'agent'), environment)).toMatchObject(expected);
  });
});

test('the operator takes the configuration that it is given, and knows its own objects by it', async () => {
  const rendered = await render({ fullnameOverride: 'dd' });
  expect(rendered.the('Deployment', '').metadata?.name).toBe('dd-operator');
  expect(await read('operator', await configFile(rendered, 'operator'))).toMatchObject({
    lease: { name: 'dd-operator' },
    deployment: { name: 'dd-operator' },
  });
});

describe.each(['Deployment', 'Job'] as const)('the %s', (kind) => {
  test('runs under the restricted Pod Security Standard', () => {
    const pod = podOf(onHardware.the(kind, ''));
    expect(onlyContainer(pod).securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(hostMounts(pod)).toEqual([]);
  });
});

describe('rights', () => {
  test('the agent reads node objects and pods, and writes the status of its node, its heartbeat and Events', () => {
    expect(rightsOf('agent')).toEqual([
      'cluster /nodes: get',
      'cluster /pods: get',
      'cluster datadirect.dev/datadirectnodes/status: patch',
      'cluster datadirect.dev/datadirectnodes: list watch',
      'cluster events.k8s.io/events: create patch',
      'data-direct coordination.k8s.io/leases: create patch delete',
    ]);
  });

  test('the operator writes node objects, the status of policies, node labels, its lease and Events', () => {
    expect(rightsOf('operator')).toEqual([
      'cluster /nodes: list watch patch',
      'cluster datadirect.dev/datadirectnodes: list watch create patch delete',
      'cluster datadirect.dev/datadirectpaths/status: patch',
      'cluster datadirect.dev/datadirectpaths: list watch',
      'data-direct coordination.k8s.io/leases: create',
      'data-direct coordination.k8s.io/leases: list watch',
      'data-direct coordination.k8s.io/leases[data-direct-operator]: get patch',
      'default events.k8s.io/events: create patch',
    ]);
  });

  test('who names the owner of what it writes may also delete it, which OwnerReferencesPermissionEnforcement asks for', () => {
    const mayWrite = [...rightsOf('agent'), ...rightsOf('operator')].map((right) => right.split(': '));
    const owned = mayWrite.filter(
      ([what, verbs]) => /datadirectnodes$|leases$/.test(what ?? '') && /patch/.test(verbs ?? ''),
    );
    expect(owned).toHaveLength(2);
    for (const [what, verbs] of owned) expect(`${what}: ${verbs}`).toContain('delete');
  });

  test('the Job before uninstalling ends the operator and removes what it made', () => {
    expect(rightsOf('retire')).toEqual([
      'cluster /nodes: list patch',
      'cluster datadirect.dev/datadirectnodes: list patch delete',
      'data-direct apps/deployments[data-direct-operator]: patch',
      'data-direct coordination.k8s.io/leases: create',
      'data-direct coordination.k8s.io/leases: list delete',
      'data-direct coordination.k8s.io/leases[data-direct-operator]: get patch',
    ]);
  });
});

describe('the CRDs', () => {
  test('are those of crds/manifests, and stay when the release goes', async () => {
    for (const file of await readdir(manifests)) {
      const source = parse(await readFile(join(manifests, file), 'utf8')) as V1CustomResourceDefinition;
      const rendered = onHardware.the('CustomResourceDefinition', source.metadata?.name ?? '');
      expect(rendered.spec).toEqual(source.spec);
      expect(rendered.metadata?.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    }
    expect(crdNames(onHardware)).toHaveLength(2);
  });

  test('go with the release, or are not part of it, if so wished', async () => {
    const [gone, none] = await Promise.all([render({ crds: { keep: false } }), render({ crds: { install: false } })]);
    expect(gone.all('CustomResourceDefinition').map(({ metadata }) => metadata?.annotations)).toEqual([{}, {}]);
    expect(crdNames(none)).toEqual([]);
  });
});

describe('uninstalling', () => {
  const hook = 'helm.sh/hook';
  const retiring = () => onHardware.objects.filter(({ metadata }) => metadata?.annotations?.[hook] !== undefined);

  test('begins with a Job that has its account, rights and configuration before it runs', () => {
    const ofTheHook = retiring().map(({ kind, metadata }) => [kind, metadata?.annotations?.['helm.sh/hook-weight']]);
    expect(ofTheHook.toSorted()).toEqual([
      ['ClusterRole', '0'],
      ['ClusterRoleBinding', '0'],
      ['ConfigMap', '0'],
      ['Job', '1'],
      ['Role', '0'],
      ['RoleBinding', '0'],
      ['ServiceAccount', '0'],
    ]);
    expect(new Set(retiring().map(({ metadata }) => metadata?.annotations?.[hook]))).toEqual(new Set(['pre-delete']));
  });

  test('needs nothing of the rest of the release, which may be half-installed', () => {
    const pod = podOf(onHardware.the('Job', '-retire'));
    expect(pod.serviceAccountName).toBe('data-direct-retire');
    expect(pod.volumes).toEqual([{ name: 'config', configMap: { name: 'data-direct-retire' } }]);
    expect(configOf(onHardware, 'retire')).toEqual(configOf(onHardware, 'operator'));
  });

  test('leaves nothing of the Job behind when it succeeds, and does not wait for ever', () => {
    for (const { metadata } of retiring())
      expect(metadata?.annotations?.['helm.sh/hook-delete-policy']).toMatch(/^before-hook-creation,hook-succeeded/);
    expect(onHardware.the('Job', '-retire').spec?.activeDeadlineSeconds).toBe(150);
  });
});

describe('values', () => {
  test.each([
    [{ agnt: {} }, "additional properties 'agnt' not allowed"],
    [{ image: { digest: 'x' } }, "at '/image': additional properties 'digest' not allowed"],
    [{ agent: { tolerations: 'all' } }, "at '/agent/tolerations': got string, want array"],
    [{ agent: { maxUnavailable: 0 } }, "at '/agent/maxUnavailable'"],
    [{ logLevel: 'loud' }, "at '/logLevel'"],
    [{ nameOverride: 'No_Name' }, "at '/nameOverride'"],
    [{ fullnameOverride: 'data.direct-' }, "at '/fullnameOverride'"],
    [{ kubeletRootDir: 'var/lib/kubelet/' }, "at '/kubeletRootDir'"],
    [{ virtualHost: { fixtures: 'gb300-tray' } }, "at '/virtualHost': additional properties 'fixtures' not allowed"],
  ])('%j is refused with its place', async (values, complaint) => {
    await expect(render(values)).rejects.toThrow(complaint);
  });

  test('of pods arrive in both workloads', async () => {
    const placement = {
      nodeSelector: { pool: 'gpu' },
      podAnnotations: { 'example.com/a': '1' },
      podLabels: { team: 'hpc' },
      affinity: { nodeAffinity: {} },
      resources: { limits: { memory: '1Gi' } },
    };
    const rendered = await render({ agent: placement, operator: placement, imagePullSecrets: [{ name: 'pull' }] });
    for (const workload of [rendered.the('DaemonSet', '-agent'), rendered.the('Deployment', '-operator')]) {
      expect(workload.spec?.template.metadata).toMatchObject({
        annotations: { 'example.com/a': '1' },
        labels: { team: 'hpc' },
      });
      expect(podOf(workload)).toMatchObject({
        nodeSelector: { pool: 'gpu', 'kubernetes.io/os': 'linux' },
        affinity: { nodeAffinity: {} },
        imagePullSecrets: [{ name: 'pull' }],
      });
      expect(onlyContainer(podOf(workload)).resources?.limits).toEqual({ memory: '1Gi' });
    }
  });

  test('the image is by default of the version that make image makes', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(onlyContainer(agentPod(onHardware)).image).toBe(`ghcr.io/data-direct/data-direct:${version}`);
  });

  test('an image of one’s own is used by all pods', async () => {
    const image = { repository: 'registry.example.com/dd', tag: 'test', pullPolicy: 'Never' };
    const rendered = await render({ image });
    const pods = (['DaemonSet', 'Deployment', 'Job'] as const).map((kind) => podOf(rendered.the(kind, '')));
    expect(pods.map(onlyContainer).map(({ image: used, imagePullPolicy }) => [used, imagePullPolicy])).toEqual(
      Array.from({ length: 3 }, () => ['registry.example.com/dd:test', 'Never']),
    );
  });

  test('of every container the last words are kept, for kubectl describe', async () => {
    const rendered = await render();
    const pods = (['DaemonSet', 'Deployment', 'Job'] as const).map((kind) => podOf(rendered.the(kind, '')));
    for (const pod of pods) expect(onlyContainer(pod).terminationMessagePolicy).toBe('FallbackToLogsOnError');
  });

  test('metrics over TLS and for known readers only: certificate, probes, configuration and rights fit', async () => {
    const rendered = await render({
      metrics: {
        access: 'TokenReview',
        tlsSecret: 'certificate',
        podMonitor: { enabled: true, tokenSecret: { name: 'prometheus' } },
      },
    });
    for (const [workload, room] of [
      [rendered.the('DaemonSet', '-agent'), 'device-plugin'],
      [rendered.the('Deployment', '-operator'), 'operator'],
    ] as const) {
      const container = onlyContainer(podOf(workload));
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
        expect(probe?.httpGet?.scheme).toBe('HTTPS');
      expect(container.volumeMounts).toContainEqual({ name: 'tls', mountPath: '/etc/data-direct-tls', readOnly: true });
      expect(podOf(workload).volumes).toContainEqual({ name: 'tls', secret: { secretName: 'certificate' } });
      const component = room === 'operator' ? 'operator' : 'agent';
      const environment = { NODE_NAME: 'n', POD_NAMESPACE: 'n', POD_NAME: 'n' };
      expect(await read(room, await configFile(rendered, component), environment)).toMatchObject({
        http: {
          metricsAccess: 'TokenReview',
          tls: { certificate: '/etc/data-direct-tls/tls.crt', key: '/etc/data-direct-tls/tls.key' },
        },
      });
      const { rules } = rendered.the('ClusterRole', `-${component}`);
      expect(rules).toContainEqual({
        apiGroups: ['authentication.k8s.io'],
        resources: ['tokenreviews'],
        verbs: ['create'],
      });
    }
    expect(rendered.the('PodMonitor', 'data-direct')).toMatchObject({
      spec: {
        podMetricsEndpoints: [
          { scheme: 'https', authorization: { credentials: { name: 'prometheus', key: 'token' } } },
        ],
      },
    });
  });

  test('a PodMonitor without a token is refused where a token is asked for', async () => {
    await expect(render({ metrics: { access: 'TokenReview', podMonitor: { enabled: true } } })).rejects.toThrow(
      'metrics.podMonitor.tokenSecret.name is needed with metrics.access TokenReview',
    );
  });

  test('a PodMonitor has fields of its kind only', async () => {
    const { podMonitor, endpoint } = podMonitorFields;
    for (const metrics of [
      { podMonitor: { enabled: true } },
      { access: 'TokenReview', tlsSecret: 'c', podMonitor: { enabled: true, tokenSecret: { name: 't' } } },
    ]) {
      const monitor = (await render({ metrics })).the('PodMonitor', 'data-direct');
      const { spec } = monitor as { spec?: { podMetricsEndpoints: object[] } };
      expect(podMonitor).toEqual(expect.arrayContaining(Object.keys(spec ?? {})));
      const [only] = spec?.podMetricsEndpoints ?? [];
      expect(endpoint).toEqual(expect.arrayContaining(Object.keys(only ?? {})));
    }
  });

  test('a PodMonitor is there only when asked for', async () => {
    expect(onHardware.all('PodMonitor')).toEqual([]);
    const rendered = await render({ metrics: { podMonitor: { enabled: true, labels: { release: 'prometheus' } } } });
    expect(rendered.the('PodMonitor', 'data-direct').metadata?.labels).toMatchObject({ release: 'prometheus' });
  });
});
