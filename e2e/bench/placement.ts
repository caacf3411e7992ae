// How often a pod gets paths beside its GPUs: the agent's own choice against random and first-fit, on simulated nodes that are kept busy.
// Table into docs/benchmarks.md. Nothing is measured in time, and the same seed gives the same table.
import {
  bystanders,
  type ContainerDevices,
  gpuView,
  NOTHING_KNOWN,
  type Pool,
  preferred,
} from '@data-direct/device-plugin';
import { dataDirectNodeSpecSchema } from '@data-direct/crds/schema';
import { putSection } from './document.ts';

type Path = Pool['paths'][number];

const RESOURCE = 'datadirect.dev/path';
const GPU = 'nvidia.com/gpu';
const PODS = 20_000;

/** What pods ask for, and how many of a hundred do. A GPU is never asked for without its share of paths but by the last kind. */
const KINDS = [
  { gpus: 1, paths: 1, share: 45 },
  { gpus: 2, paths: 2, share: 25 },
  { gpus: 4, paths: 4, share: 10 },
  { gpus: 1, paths: 0, share: 20 },
] as const;
type Kind = (typeof KINDS)[number];

/** Of a hundred arrivals, how many come after the agent has looked at pod-resources since the one before: it does so every 30 s, and after each Allocate. */
const LOOKED_BEFORE = 80;

type Order = 'GPU first' | 'path first';
type Chooser = (free: readonly string[], size: number, node: SimulatedNode) => readonly string[];

const CHOOSERS: Readonly<Record<string, Chooser>> = {
  random: (free, size, { random }) => shuffled(free, random).slice(0, size),
  'first fit': (free, size) => free.toSorted().slice(0, size),
  'data-direct': (free, size, { pool, held, looked }) => {
    const settled = new Set(bystanders(looked, RESOURCE, addressOf).map(({ key }) => key));
    const view = gpuView({ held, resource: RESOURCE, size, settled }, addressOf);
    return preferred(pool, { available: free, mustInclude: [], size }, view);
  },
  'data-direct, GPUs not known': (free, size, { pool }) =>
    preferred(pool, { available: free, mustInclude: [], size }, NOTHING_KNOWN),
};

/** Device ids of the simulated GPU plug-in are PCI addresses. */
const addressOf = (resource: string, id: string): string | undefined => (resource === GPU ? id : undefined);

class SimulatedNode {
  readonly random: () => number;
  readonly pool: Pool;
  /** As pod-resources says it. */
  held: ContainerDevices[] = [];
  /** As it was when the agent last looked. */
  looked: readonly ContainerDevices[] = [];
  readonly #pairs: number;

  constructor(pairs: number, seed: number) {
    this.#pairs = pairs;
    this.random = generator(seed);
    this.pool = poolOf(pairs);
  }

  free(resource: string): string[] {
    const taken = new Set(this.held.filter((held) => held.resource === resource).flatMap(({ ids }) => ids));
    const all = this.pool.paths.map((path) => (resource === GPU ? gpuBeside(path) : path.id));
    return all.filter((id) => !taken.has(id));
  }

  /** Ends pods, whichever, until there is room. */
  makeRoom({ gpus, paths }: Kind): void {
    while (this.free(GPU).length < gpus || this.free(RESOURCE).length < paths) {
      const pods = [...new Set(this.held.map(({ pod }) => pod))];
      this.end(pods[Math.floor(this.random() * pods.length)] ?? '');
    }
  }

  end(pod: string): void {
    this.held = this.held.filter((held) => held.pod !== pod);
  }

  admit(pod: string, { gpus, paths }: Kind, order: Order, choose: Chooser): boolean {
    const give = (resource: string, ids: readonly string[]): void => {
      if (ids.length > 0) this.held = [...this.held, { namespace: 'default', pod, container: 'main', resource, ids }];
    };
    const giveGpus = (): void => give(GPU, nvidiaChoice(this.free(GPU), gpus, this.#pairs));
    const givePaths = (): void => {
      if (paths > 0) give(RESOURCE, choose(this.free(RESOURCE), paths, this));
    };
    if (order === 'GPU first') giveGpus();
    givePaths();
    if (order === 'path first') giveGpus();
    return this.#matches(pod);
  }

  #matches(pod: string): boolean {
    const idsOf = (resource: string): readonly string[] =>
      this.held.find((held) => held.pod === pod && held.resource === resource)?.ids ?? [];
    const beside = new Set(this.pool.paths.filter(({ id }) => idsOf(RESOURCE).includes(id)).map(gpuBeside));
    return idsOf(GPU).every((gpu) => beside.has(gpu));
  }
}

function shareMatched(pairs: number, order: Order, choose: Chooser): number {
  const node = new SimulatedNode(pairs, 1);
  let matched = 0;
  let counted = 0;
  for (let pod = 0; pod < PODS; pod++) {
    const kind = kindOf(node.random() * 100);
    node.makeRoom(kind);
    if (node.random() * 100 < LOOKED_BEFORE) node.looked = node.held;
    const isMatched = node.admit(`pod-${pod}`, kind, order, choose);
    if (kind.paths > 0) {
      node.looked = node.held;
      counted += 1;
      matched += Number(isMatched);
    }
  }
  return matched / counted;
}

function kindOf(percent: number): Kind {
  let sum = 0;
  for (const kind of KINDS) if ((sum += kind.share) > percent) return kind;
  return KINDS[0];
}

/**
 * What NVIDIA's plug-in prefers (go-gpuallocator, best effort): all free GPUs are divided into sets of the size asked for so that the sum of
 * their links is best, and of these the best set is taken; the first of equals. NVLink joins all GPUs of such a node alike, so what
 * differs is the CPU. One GPU: the first free one.
 */
function nvidiaChoice(free: readonly string[], size: number, pairs: number): string[] {
  const gpus = free.toSorted();
  if (size === 1) return gpus.slice(0, 1);
  const score = (set: readonly string[]): number =>
    set
      .flatMap((a, at) => set.slice(at + 1).map((b) => (numaOfGpu(a, pairs) === numaOfGpu(b, pairs) ? 20 : 10)))
      .reduce((x, y) => x + y, 0);
  let best: { readonly total: number; readonly sets: readonly (readonly string[])[] } | undefined;
  for (const sets of divisions(gpus, size)) {
    const total = sets.map(score).reduce((x, y) => x + y, 0);
    if (best === undefined || total > best.total) best = { total, sets };
  }
  const sets = best?.sets ?? [];
  return [...(sets.find((set) => score(set) === Math.max(...sets.map(score))) ?? [])];
}

/** All ways to divide into sets of `size`, what is left over aside; in the order of their first members. */
function* divisions(gpus: readonly string[], size: number): Generator<(readonly string[])[]> {
  const spare = gpus.length % size;
  if (gpus.length < size) {
    yield [];
    return;
  }
  const [first = '', ...rest] = gpus;
  for (const others of subsets(rest, size - 1))
    for (const sets of divisions(without(rest, others), size)) yield [[first, ...others], ...sets];
  if (spare === 0) return;
  for (const others of subsets(rest, spare - 1)) yield* divisions(without(rest, others), size);
}

function* subsets(values: readonly string[], size: number): Generator<string[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (const [at, value] of values.entries())
    for (const rest of subsets(values.slice(at + 1), size - 1)) yield [value, ...rest];
}

function without(values: readonly string[], others: readonly string[]): string[] {
  return values.filter((value) => !others.includes(value));
}

function poolOf(pairs: number): Pool {
  const [resource] = dataDirectNodeSpecSchema.parse({
    resources: [{ name: 'path', policy: 'simulated', policyGeneration: 1 }],
  }).resources;
  if (!resource) throw new Error('the specification has no resource');
  const paths = Array.from({ length: pairs }, (_, index) => pathOf(index, pairs));
  return { resource, paths, devices: paths.map((path) => ({ id: path.id, path, healthy: true })) };
}

/** Two NUMA nodes with half of the pairs each, as on a tray and on an eight-way node. */
function pathOf(index: number, pairs: number): Path {
  const numaNode = index < pairs / 2 ? 0 : 1;
  const address = (domain: string, device: string): string => `${domain}${index}:${device}:00.0`;
  const [id, name] = [address('000', '03'), `mlx5_${index}`];
  const iommuGroup = `${index}`;
  return {
    id,
    name,
    nic: {
      address: id,
      function: 'PF',
      model: 'ConnectX-8',
      rdmaDevice: name,
      uverbs: `uverbs${index}`,
      umad: [],
      netdevs: [],
      linkLayer: 'InfiniBand',
      portState: 'ACTIVE',
      driver: 'mlx5_core',
      numaNode,
      iommuGroup,
      defaultRoute: false,
    },
    dma: { address: address('001', '03'), driver: 'mlx5_ib', vuid: name, numaNode, iommuGroup },
    gpus: [{ address: address('001', '06'), numaNode, iommuGroup }],
    complex: address('001', '00'),
    evidence: 'KernelIoctl',
    verified: 'Probe',
    state: 'Ready',
    reason: 'Paired',
    message: 'simulated',
  };
}

function gpuBeside({ gpus: [gpu] }: Path): string {
  return gpu?.address ?? '';
}

function numaOfGpu(address: string, pairs: number): number {
  return Number(address[3]) < pairs / 2 ? 0 : 1;
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** A linear congruential generator: poor as chance goes, and the same table each time. Its high bits are good enough here. */
function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(1_664_525, state) + 1_013_904_223) >>> 0) / 2 ** 32;
}

const names = Object.keys(CHOOSERS);
const rows = [4, 8].flatMap((pairs) =>
  (['GPU first', 'path first'] as const).map((order) => {
    const shares = Object.values(CHOOSERS).map(
      (choose) => `${(100 * shareMatched(pairs, order, choose)).toFixed(1)} %`,
    );
    return [`${pairs} paths, ${order}`, ...shares];
  }),
);
const table = [['node, order', ...names], ['-', ...names.map(() => '-')], ...rows]
  .map((row) => `| ${row.join(' | ')} |`)
  .join('\n');
console.log(table);
await putSection('placement', table);
