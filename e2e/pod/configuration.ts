// The configuration of a node without a cluster: a kubelet that runs what lies in a directory, and a runtime without a network. Pure.

export const agentSpec = {
  resources: [{ name: 'path', policy: 'pod', policyGeneration: 1 }],
};

/** As the chart's, but for the spec, which no API server brings. */
export const agentConfig = {
  specFile: '/work/spec.json',
  cdiDir: '/var/run/cdi',
  rescanSeconds: 3600, // what it learns in between, it learns from events
  http: { address: '127.0.0.1', port: 9464 },
};

/** Nobody talks to it: pods come from the directory, and tell by a file what they saw. */
export const kubeletConfig = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  enableServer: false,
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  staticPodPath: '/run/manifests',
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  cgroupDriver: 'cgroupfs',
  failSwapOn: false,
  makeIPTablesUtilChains: false,
  resolvConf: '/dev/null',
  imageGCHighThresholdPercent: 100, // images come from archives and cannot be pulled again
  evictionHard: { 'memory.available': '10Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
};

/** The native snapshotter copies: the guest's kernel has no overlayfs, and the images are small. */
export function containerdConfig(sandboxImage: string): string {
  return `version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
disabled_plugins = ['io.containerd.nri.v1.nri']
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/opt'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'native'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '${sandboxImage}'
[plugins.'io.containerd.cri.v1.runtime']
  enable_cdi = true
  cdi_spec_dirs = ['/var/run/cdi']
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    conf_dir = '/work/cni'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
`;
}

/** For a runtime that is not ready without one; pods use the node's network. */
export const cniConfig = { cniVersion: '1.0.0', name: 'none', plugins: [{ type: 'loopback' }] };

/**
 * A pod with `paths` paths that runs a line of shell; what it prints is in the shared folder under the pod's name. Beside its own image it
 * has the guest's Node and our command line tool.
 */
export function podManifest(name: string, image: string, paths: number, line: string): object {
  const mounts = { work: '/work', app: '/app', bin: '/guest/bin', usr: '/usr', lib64: '/lib64' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      hostNetwork: true,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'main',
          image,
          imagePullPolicy: 'Never',
          command: ['/bin/sh', '-c', `( ${line} ) >/work/${name}.part 2>&1; mv /work/${name}.part /work/${name}.out`],
          resources: { limits: { 'datadirect.dev/path': String(paths) } },
          volumeMounts: Object.entries(mounts).map(([volume, mountPath]) => ({ name: volume, mountPath })),
        },
      ],
      volumes: Object.keys(mounts).map((volume) => ({ name: volume, hostPath: { path: `/${volume}` } })),
    },
  };
}
