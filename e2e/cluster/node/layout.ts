// The fixed places and addresses of the node: one cluster per machine, so that whatever a crashed run left can be found.

import { join } from 'node:path';

const home = '/var/lib/data-direct-cluster';
/** Sockets live here: a unix socket's path has room for 108 bytes. */
const runtime = '/run/data-direct-cluster';

export const layout = {
  home,
  runtime,
  state: join(home, 'state.json'),
  lock: '/run/lock/data-direct-cluster.lock',
  logs: join(home, 'logs'),
  pki: join(home, 'pki'),
  config: join(home, 'config'),
  /** HOME of kubectl and Helm, so that their caches go with the cluster. */
  clientHome: join(home, 'client'),
  kubeconfig: join(home, 'kubeconfig'),
  containerdSocket: join(runtime, 'containerd.sock'),
  mountNamespace: join(runtime, 'mounts/namespace'),
  /** Device-plugin sockets are always below /var/lib/kubelet, whatever the root directory (pkg/kubelet/apis/deviceplugin). */
  kubeletRoot: '/var/lib/kubelet',
  /** Where the kubelet links the logs of containers; not configurable. */
  containerLogLinks: '/var/log/containers',
  /** Where libcni keeps what it handed out; not configurable. */
  cniResults: '/var/lib/cni/results',
  /** Below the root of each cgroup hierarchy. Everything that runs for the cluster is in it, pods included. */
  cgroup: 'data-direct',
} as const;

export const network = {
  namespace: 'data-direct',
  namespaceFile: '/run/netns/data-direct',
  /** Names of links have room for 15 characters. */
  hostLink: 'ddirect-host',
  nodeLink: 'ddirect-node',
  /**
   * Out of the range for tests of network devices (RFC 2544), and four addresses only: the host end of the cable is an
   * address of the whole machine, and must be nobody else's. The documentation ranges are not safe: some virtual
   * machines have their own gateway there.
   */
  hostAddress: '198.18.95.1',
  nodeAddress: '198.18.95.2',
  prefixLength: 30,
  pods: '10.244.0.0/24',
  services: '10.96.0.0/16',
  /** The first address of the service range is the API server's. */
  apiServerService: '10.96.0.1',
  cniName: 'data-direct',
} as const;

export const nodeName = 'data-direct-node';

export const ports = {
  etcd: 2379,
  etcdPeer: 2380,
  etcdMetrics: 2381,
  apiServer: 6443,
  kubelet: 10250,
  kubeletHealth: 10248,
  kubeProxyHealth: 10256,
  controllerManager: 10257,
  scheduler: 10259,
  containerdMetrics: 1338,
} as const;
