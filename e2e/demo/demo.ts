// `make demo`: the main job on a virtual node. Pair, advertise, allocate, break a DMA function, mend it; every claim is checked, and
// the exit code is 0 only if all were true.
import { parseArgs } from 'node:util';

import { type DataDirectMode, isHealthy, type NodePath } from '@data-direct/crds';
import { VirtualError } from '@data-direct/driver-core';

import { Stage } from './stage.ts';
import { createWorld, RESOURCE, type World } from './world.ts';

const stage = new Stage();

async function play(fixture: string): Promise<void> {
  stage.title(`Data Direct for Kubernetes, on a virtual node: ${fixture}`);
  const world = await createWorld(fixture);
  try {
    await discover(world);
    const victim = world.paths().find(({ reason }) => reason === 'Paired');
    if (victim?.dma) {
      await allocate(world);
      await breakAndHeal(world, { path: victim, dma: victim.dma.address });
    } else
      stage.say(
        'No path that a policy takes by itself is paired: there is nothing to hand out with data direct on, and nothing to break.',
      );
  } finally {
    await world.close();
  }
}

async function discover(world: World): Promise<void> {
  const { kubelet, paths, allPaths, until } = world;
  stage.scene('What the agent finds on the node');
  const found = await until(() => allPaths().length > 0);
  showPaths(allPaths());
  stage.claim(`${allPaths().length} NIC functions, each with its reason`, found, 'it finds none');
  const healthy = usable(world, 'Preferred');
  const saw = await until(
    () => kubelet.healthy(RESOURCE).length === healthy && kubelet.resource(RESOURCE)?.isConnected === true,
  );
  stage.scene('What the kubelet knows');
  const count = paths().length;
  stage.claim(
    `${RESOURCE}: ${count} devices, ${healthy === count ? 'all' : healthy} healthy`,
    saw,
    `the kubelet has ${kubelet.healthy(RESOURCE).join(', ')}`,
  );
}

/** How many of the resource's paths a policy of this mode hands out. */
function usable({ paths }: World, mode: DataDirectMode): number {
  return paths().filter(({ reason }) => isHealthy(reason, mode)).length;
}

/**
 * For a container with all the paths that are handed out: on where these are all paths of the node, and every one is Paired. A NIC of
 * another model that has no DMA function, such as a BlueField, is no path.
 */
function expectation({ paths, allPaths }: World): 'on' | 'off' {
  const models = new Set(paths().map(({ nic }) => nic.model));
  const all = allPaths().filter(({ dma, nic }) => dma !== undefined || models.has(nic.model));
  return all.every(({ resource, reason }) => resource !== undefined && reason === 'Paired') ? 'on' : 'off';
}

async function allocate(world: World): Promise<void> {
  const { kubelet } = world;
  const devices = kubelet.healthy(RESOURCE);
  stage.scene(`A pod that asks for all ${devices.length} paths`);
  const all = await kubelet.allocate(RESOURCE, devices);
  showContainer(all);
  claimDataDirect(all.envs, expectation(world));
  if (devices.length === 1) return;
  stage.scene('A pod that asks for one');
  const one = await kubelet.allocate(RESOURCE, await kubelet.prefer(RESOURCE, kubelet.healthy(RESOURCE), 1));
  showContainer(one);
  claimDataDirect(one.envs, 'off');
  stage.say(
    'Off, because nobody knows which GPU this pod has: next to the wrong one, data direct is far slower than none.',
  );
}

async function breakAndHeal(world: World, { path, dma }: { path: NodePath; dma: string }): Promise<void> {
  const { kubelet } = world;
  const ready = usable(world, 'Required');
  // Ports of one adapter, and its VFs, share the DMA function.
  const sharing = world.paths().filter((each) => each.dma?.address === dma && isHealthy(each.reason, 'Required'));
  const left = ready - sharing.length;
  const hasHealthy = (count: number) => (): boolean => kubelet.healthy(RESOURCE).length === count;
  const reasonIs = (reason: string) => (): boolean =>
    world.paths().some(({ id, reason: now }) => id === path.id && now === reason);

  stage.scene(`Somebody unbinds the DMA function of ${path.name}`);
  stage.command(`data-direct virtual unbind ${dma}`);
  await world.virtual('unbind', dma);
  const noticed = await world.until(reasonIs('DmaDriverNotBound'));
  showPaths(world.paths());
  stage.claim(
    `${path.name} is Degraded, DmaDriverNotBound: ${messageOf(world, path)}`,
    noticed,
    'the agent did not notice',
  );
  const degraded = await kubelet.allocate(RESOURCE, kubelet.healthy(RESOURCE));
  claimDataDirect(degraded.envs, 'off');
  stage.say(
    'The policy says Preferred: the NIC still works, so pods get it, with data direct off for all of their paths.',
  );

  stage.scene('The policy is changed to Required');
  world.policy({ dataDirect: 'Required' });
  const lost = await world.until(hasHealthy(left));
  stage.claim(
    `the kubelet has ${left} healthy devices; ${sharing.map(({ id }) => id).join(' and ')} ${sharing.length > 1 ? 'are' : 'is'} unhealthy`,
    lost && sharing.every(({ id }) => !kubelet.healthy(RESOURCE).includes(id)),
    `it has ${kubelet.healthy(RESOURCE).join(', ')}`,
  );

  stage.scene('It is bound again');
  stage.command(`data-direct virtual bind ${dma}`);
  const back = await timed(() => world.virtual('bind', dma), world, hasHealthy(ready));
  stage.claim(`the kubelet has all ${ready} devices again, ${back.ms} ms later`, back.happened, 'it does not');
  const healed = await kubelet.allocate(RESOURCE, kubelet.healthy(RESOURCE));
  claimDataDirect(healed.envs, expectation(world));

  stage.scene('And once more unbound, to see how long the kubelet is in the dark');
  stage.command(`data-direct virtual unbind ${dma}`);
  const gone = await timed(() => world.virtual('unbind', dma), world, hasHealthy(left));
  stage.claim(`the kubelet knew after ${gone.ms} ms`, gone.happened, 'it never did');
}

async function timed(
  act: () => Promise<void>,
  { until }: World,
  holds: () => boolean,
): Promise<{ ms: number; happened: boolean }> {
  const began = performance.now();
  await act();
  const happened = await until(holds);
  return { ms: Math.round(performance.now() - began), happened };
}

function messageOf({ paths }: World, { id }: NodePath): string {
  return paths().find((path) => path.id === id)?.message ?? '';
}

function showPaths(paths: readonly NodePath[]): void {
  stage.table(
    ['NIC', 'RDMA', 'MODEL', 'DMA FUNCTION', 'DRIVER', 'GPU', 'STATE', 'REASON'],
    paths.map(({ id, name, nic, dma, gpus = [], state, reason }) => [
      id,
      name,
      nic.model ?? '?',
      dma?.address ?? '-',
      dma?.driver ?? '-',
      gpus.map((gpu) => gpu.address).join(' ') || '-',
      state,
      reason,
    ]),
  );
}

function showContainer({
  envs,
  devices,
}: {
  envs: Readonly<Record<string, string>>;
  devices: readonly { containerPath: string }[];
}): void {
  stage.say(`devices      ${devices.map((device) => device.containerPath).join(' ')}`);
  stage.say('environment');
  const { short, long } = Object.groupBy(Object.entries(envs), ([, value]) => (value.length > 100 ? 'long' : 'short'));
  stage.pairs(
    Object.fromEntries([...(short ?? []), ...(long ?? []).map(([name, value]) => [name, `${value.slice(0, 97)}…`])]),
  );
}

function claimDataDirect(envs: Readonly<Record<string, string>>, expected: 'on' | 'off'): void {
  const said = ['NCCL_IB_DATA_DIRECT', 'UCX_IB_DIRECT_NIC', 'NVSHMEM_DISABLE_DATA_DIRECT']
    .map((name) => envs[name])
    .join(' ');
  stage.claim(
    `data direct is ${expected}, for NCCL, UCX and NVSHMEM alike`,
    said === { on: '1 y 0', off: '0 n 1' }[expected],
    `the variables say ${said}`,
  );
}

const { values } = parseArgs({ options: { fixture: { type: 'string', default: 'gb300-tray' } } });
try {
  await play(values.fixture);
} catch (error) {
  if (!(error instanceof VirtualError)) throw error;
  stage.fail(error.message);
}
if (stage.hasFailed) process.exitCode = 1;
