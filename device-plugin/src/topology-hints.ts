// Whether the kubelet may be told NUMA nodes: a policy asks for it, and a kubelet before 1.36 would be harmed by it on a large node. Pure.

/** Up to here the Topology Manager’s policies are supported at all (kubelet: MaxAllowableNUMANodes). */
const NUMA_NODES_FOR_ANY_KUBELET = 4;
/** From here on the kubelet merges hints without walking every combination (kubernetes#135541, #138244). */
const FIRST_MINOR = 36;

export interface HintFacts {
  readonly numaNodes: number;
  /** Such as v1.35.2; undefined where it is not known. */
  readonly kubeletVersion: string | undefined;
}

/** Why hints are not given although a policy asks for them; undefined: they are given. */
export function hintsRefusal({ numaNodes, kubeletVersion }: HintFacts): string | undefined {
  if (numaNodes <= NUMA_NODES_FOR_ANY_KUBELET || isRecent(kubeletVersion)) return undefined;
  const kubelet = kubeletVersion === undefined ? 'a kubelet of unknown version' : `kubelet ${kubeletVersion}`;
  return (
    `no topology hints: this node has ${numaNodes} NUMA nodes, and admission of pods by ${kubelet} could take minutes or hang; ` +
    `kubelet 1.${FIRST_MINOR} is the first that can be told`
  );
}

function isRecent(version = ''): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= FIRST_MINOR);
}
