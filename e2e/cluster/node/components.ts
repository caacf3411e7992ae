// The processes of the node: their arguments, their configuration files, and how each is seen to work.
// Pure: what is started, stopped and watched by others is decided here and nowhere else.

import { join } from 'node:path';
import { sandboxImage } from '../images/test-images.ts';
import type { Toolchain } from '../toolchain/toolchain.ts';
import { layout, network, nodeName, ports } from './layout.ts';
import { type CertificateName, pkiFile } from './pki.ts';

export const componentNames = [
  'etcd',
  'containerd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
] as const;
export type ComponentName = (typeof componentNames)[number];

/** The others are the control plane, which on a real cluster is another machine. */
export const ofTheNode: readonly ComponentName[] = ['containerd', 'kube-proxy', 'kubelet'];

export interface Component {
  readonly name: ComponentName;
  readonly program: string;
  readonly args: readonly string[];
  /** An http(s) address that answers 200, or a unix socket that accepts. */
  readonly health: { readonly url: string } | { readonly socket: string };
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
}

const config = (file: string): string => join(layout.config, file);
export const kubeconfigOf = (user: CertificateName): string => config(`${user}.kubeconfig`);
export const apiServerUrl = `https://${network.nodeAddress}:${ports.apiServer}`;
/** The clients among the components, each with a kubeconfig of its own. */
export const componentUsers: readonly CertificateName[] = ['controller-manager', 'scheduler', 'kubelet', 'kube-proxy'];

const flags = (values: Readonly<Record<string, string | number | boolean>>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`);

export function components(toolchain: Toolchain): Readonly<Record<ComponentName, Component>> {
  const kubernetes = (program: string): string => join(toolchain.kubernetes, program);
  const table: Readonly<Record<ComponentName, Omit<Component, 'name'>>> = {
    etcd: {
      program: join(toolchain.etcd, 'etcd'),
      args: flags({
        'data-dir': join(layout.home, 'etcd'),
        'listen-client-urls': `http://127.0.0.1:${ports.etcd}`,
        'advertise-client-urls': `http://127.0.0.1:${ports.etcd}`,
        'listen-peer-urls': `http://127.0.0.1:${ports.etcdPeer}`,
        'listen-metrics-urls': `http://${network.nodeAddress}:${ports.etcdMetrics}`,
        'unsafe-no-fsync': true, // the data need not survive the machine
      }),
      health: { url: `http://${network.nodeAddress}:${ports.etcdMetrics}/health` },
      graceMs: 3_000,
    },
    containerd: {
      program: join(toolchain.containerd, 'containerd'),
      args: flags({ config: config('containerd.toml') }),
      health: { socket: layout.containerdSocket },
      graceMs: 3_000,
    },
    'kube-apiserver': {
      program: kubernetes('kube-apiserver'),
      args: flags({
        'etcd-servers': `http://127.0.0.1:${ports.etcd}`,
        'advertise-address': network.nodeAddress,
        'secure-port': ports.apiServer,
        'service-cluster-ip-range': network.services,
        'tls-cert-file': pkiFile('apiserver', 'crt'),
        'tls-private-key-file': pkiFile('apiserver', 'key'),
        'client-ca-file': pkiFile('ca', 'crt'),
        'kubelet-certificate-authority': pkiFile('ca', 'crt'),
        'kubelet-client-certificate': pkiFile('apiserver-kubelet-client', 'crt'),
        'kubelet-client-key': pkiFile('apiserver-kubelet-client', 'key'),
        'kubelet-preferred-address-types': 'InternalIP', // there is no DNS for `kubectl logs` to ask
        'service-account-issuer': 'https://kubernetes.default.svc',
        'service-account-key-file': pkiFile('service-account', 'pub'),
        'service-account-signing-key-file': pkiFile('service-account', 'key'),
        'authorization-mode': 'Node,RBAC',
        // The second is OpenShift's default too: who names an owner has to be allowed to.
        'enable-admission-plugins': 'NodeRestriction,OwnerReferencesPermissionEnforcement',
        'allow-privileged': true,
      }),
      health: { url: `${apiServerUrl}/readyz` },
      graceMs: 3_000, // its graceful stop is slow and holds the port
    },
    'kube-controller-manager': {
      program: kubernetes('kube-controller-manager'),
      args: flags({
        kubeconfig: kubeconfigOf('controller-manager'),
        'authentication-kubeconfig': kubeconfigOf('controller-manager'),
        'authorization-kubeconfig': kubeconfigOf('controller-manager'),
        'bind-address': network.nodeAddress,
        'service-account-private-key-file': pkiFile('service-account', 'key'),
        'root-ca-file': pkiFile('ca', 'crt'),
        'use-service-account-credentials': true,
        'leader-elect': false, // one of each: a restart need not wait for a lease
      }),
      health: { url: `https://${network.nodeAddress}:${ports.controllerManager}/healthz` },
      graceMs: 3_000,
    },
    'kube-scheduler': {
      program: kubernetes('kube-scheduler'),
      args: flags({
        kubeconfig: kubeconfigOf('scheduler'),
        'authentication-kubeconfig': kubeconfigOf('scheduler'),
        'authorization-kubeconfig': kubeconfigOf('scheduler'),
        'bind-address': network.nodeAddress,
        'leader-elect': false,
      }),
      health: { url: `https://${network.nodeAddress}:${ports.scheduler}/healthz` },
      graceMs: 3_000,
    },
    'kube-proxy': {
      program: kubernetes('kube-proxy'),
      args: flags({ config: config('kube-proxy.json') }),
      health: { url: `http://${network.nodeAddress}:${ports.kubeProxyHealth}/livez` },
      graceMs: 3_000,
    },
    kubelet: {
      program: kubernetes('kubelet'),
      args: flags({
        config: config('kubelet.json'),
        kubeconfig: kubeconfigOf('kubelet'),
        'root-dir': layout.kubeletRoot,
        'hostname-override': nodeName,
        'node-ip': network.nodeAddress,
        v: 2,
      }),
      health: { url: `http://${network.nodeAddress}:${ports.kubeletHealth}/healthz` },
      graceMs: 5_000,
    },
  };
  return Object.fromEntries(componentNames.map((name) => [name, { name, ...table[name] }])) as Readonly<
    Record<ComponentName, Component>
  >;
}

const json = (value: unknown): string => JSON.stringify(value, undefined, 2);

/** By path. */
export function configFiles(): Readonly<Record<string, string>> {
  return {
    [config('containerd.toml')]: containerdConfig(),
    [config('cni/10-data-direct.conflist')]: json(cniConfig),
    [config('kubelet.json')]: json(kubeletConfig),
    [config('kube-proxy.json')]: json(kubeProxyConfig),
  };
}

/** A string in single quotes is literal in TOML. */
function containerdConfig(): string {
  return `version = 3
root = '${join(layout.home, 'containerd')}'
state = '${join(layout.runtime, 'containerd')}'
# NRI opens a socket outside of the rig's directories, and nobody here uses it.
disabled_plugins = ['io.containerd.nri.v1.nri']

[grpc]
  address = '${layout.containerdSocket}'

[metrics]
  address = '${network.nodeAddress}:${ports.containerdMetrics}'

[plugins.'io.containerd.internal.v1.opt']
  path = '${join(layout.home, 'opt')}'

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '${join(layout.runtime, 's')}'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${sandboxImage.reference}'

[plugins.'io.containerd.cri.v1.runtime']
  # A root without CAP_SYS_RESOURCE cannot lower oom_score_adj, and runc would give up on every sandbox.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_cdi = true
  cdi_spec_dirs = ['/etc/cdi', '/var/run/cdi']
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/usr/lib/cni']
    conf_dir = '${config('cni')}'
    use_internal_loopback = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = '${join(layout.runtime, 'runc')}'
`;
}

const cniConfig = {
  cniVersion: '1.0.0',
  name: network.cniName,
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      hairpinMode: true, // a pod may reach itself through a Service
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: network.pods }]],
        routes: [{ dst: '0.0.0.0/0' }],
        dataDir: join(layout.home, 'cni'),
      },
    },
  ],
};

const kubeletConfig = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: pkiFile('ca', 'crt') },
  },
  authorization: { mode: 'Webhook' },
  tlsCertFile: pkiFile('kubelet-server', 'crt'),
  tlsPrivateKeyFile: pkiFile('kubelet-server', 'key'),
  port: ports.kubelet,
  healthzBindAddress: network.nodeAddress,
  healthzPort: ports.kubeletHealth,
  containerRuntimeEndpoint: `unix://${layout.containerdSocket}`,
  failCgroupV1: false,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${layout.cgroup}`,
  failSwapOn: false,
  nodeStatusUpdateFrequency: '1s', // the default of 10 s is how long each change of allocatable would take to be seen
  resolvConf: '/dev/null',
  podLogsDir: join(layout.logs, 'pods'),
  volumePluginDir: join(layout.home, 'volume-plugins'),
  makeIPTablesUtilChains: false,
  // Images come from archives and cannot be pulled again: neither the age nor a full disk may remove them.
  imageGCHighThresholdPercent: 100,
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
};

const kubeProxyConfig = {
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  clusterCIDR: network.pods,
  hostnameOverride: nodeName,
  clientConnection: { kubeconfig: kubeconfigOf('kube-proxy') },
  healthzBindAddress: `${network.nodeAddress}:${ports.kubeProxyHealth}`,
  conntrack: { maxPerCore: 0 }, // nf_conntrack_max belongs to the whole machine
};
