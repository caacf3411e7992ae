// The experiment behind docs/adr on deciding the environment at PreStartContainer, on a cluster that is up:
//   node e2e/cluster/cli.ts up && node e2e/cluster/experiments/prestart-cdi.ts; node e2e/cluster/cli.ts down
// A plug-in without any product code rewrites its CDI file in PreStartContainer; what the containers saw is printed.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { V1Container } from '@kubernetes/client-node';

import { attach } from '../cluster.ts';
import { testImage } from '../images/test-images.ts';
import { worldOf } from '../suite/world.ts';
import { heldDevices, servePlugin } from './scripted-plugin.ts';

const nic = 'example.com/nic';
const gpu = 'example.com/gpu';
const cdiDirectory = '/var/run/cdi';
const podsInTurn = 20;

const world = worldOf(await attach());
const namespace = 'default';

interface PreStart {
  readonly ids: readonly string[];
  readonly written: string;
  readonly gpus: readonly string[];
  readonly listMs: number;
}
const preStarts: PreStart[] = [];
let allocations = 0;
/** Set to leave the file out. */
let writes = true;

function specFile(id: string): string {
  return join(cdiDirectory, `example.com-nic-${id}.json`);
}

async function writeSpec(id: string, value: string): Promise<void> {
  const env = ['FROM_CDI', 'ALLOCATE_AND_CDI', 'POD_AND_CDI', 'ALL_THREE'].map((name) => `${name}=${value}`);
  const document = { cdiVersion: '0.6.0', kind: 'example.com/nic', devices: [{ name: id, containerEdits: { env } }] };
  await mkdir(cdiDirectory, { recursive: true });
  await writeFile(`${specFile(id)}.part`, JSON.stringify(document));
  await rename(`${specFile(id)}.part`, specFile(id));
}

async function preStart(ids: readonly string[]): Promise<void> {
  const asked = performance.now();
  const held = await heldDevices();
  const listMs = performance.now() - asked;
  const own = held.find(({ resource, ids: some }) => resource === nic && some.some((id) => ids.includes(id)));
  const gpus = held.filter(({ pod, resource }) => pod === own?.pod && resource === gpu).flatMap((entry) => entry.ids);
  const written = `cdi-${preStarts.length + 1}`;
  preStarts.push({ ids, written, gpus, listMs });
  if (writes) for (const id of ids) await writeSpec(id, written);
}

const ends = [
  await servePlugin({
    resource: nic,
    devices: ['nic0', 'nic1', 'nic2', 'nic3'],
    allocate: (ids) => {
      allocations += 1;
      return {
        envs: Object.fromEntries(
          ['FROM_ALLOCATE', 'ALLOCATE_AND_CDI', 'POD_AND_ALLOCATE', 'ALL_THREE'].map((name) => [name, 'allocate']),
        ),
        cdi_devices: ids.map((id) => ({ name: `example.com/nic=${id}` })),
      };
    },
    preStart,
  }),
  await servePlugin({ resource: gpu, devices: ['gpu0', 'gpu1', 'gpu2', 'gpu3'], allocate: () => ({}) }),
];

const names = ['FROM_ALLOCATE', 'FROM_CDI', 'ALLOCATE_AND_CDI', 'POD_AND_ALLOCATE', 'POD_AND_CDI', 'ALL_THREE'];

function container(name: string, then: string): V1Container {
  return {
    name,
    image: testImage.reference,
    imagePullPolicy: 'Never',
    command: ['/bin/sh', '-c', `env; ${then}`],
    env: ['POD_AND_ALLOCATE', 'POD_AND_CDI', 'ALL_THREE'].map((own) => ({ name: own, value: 'pod' })),
    resources: { limits: { [nic]: '1', [gpu]: '1' } },
  };
}

async function createPod(name: string, then: string, restartPolicy: string): Promise<void> {
  const spec = { restartPolicy, terminationGracePeriodSeconds: 0, containers: [container('main', then)] };
  await world.core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
}

async function saw(name: string): Promise<Record<string, string>> {
  const text = await world.core.readNamespacedPodLog({ namespace, name });
  const env = new Map(text.split('\n').map((line) => line.split('=') as [string, string]));
  return Object.fromEntries(names.map((variable) => [variable, env.get(variable) ?? '-']));
}

/** Of a container that has ended and does not run again yet. */
async function restartsOf(name: string): Promise<number | undefined> {
  const { status } = await world.core.readNamespacedPod({ namespace, name });
  const [main] = status?.containerStatuses ?? [];
  const hasEnded = main?.state?.terminated ?? (main?.state?.waiting && main.lastState?.terminated);
  return hasEnded ? main?.restartCount : undefined;
}

async function deletePod(name: string): Promise<void> {
  await world.core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
}

async function until(what: string, holds: () => Promise<boolean>, seconds = 90): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(100);
  }
}

async function allocatable(): Promise<boolean> {
  const node = await world.core.readNode({ name: world.node });
  return node.status?.allocatable?.[nic] === '4' && node.status.allocatable[gpu] === '4';
}

try {
  await until('the kubelet offers both resources', allocatable);

  console.log(`\n1. one container started again and again (${nic} and ${gpu} in it)`);
  await createPod('again', 'exit 0', 'Always');
  for (let restart = 0; restart < 3; restart += 1) {
    await until(`restart ${restart}`, async () => (await restartsOf('again')) === restart);
    console.log(`start ${restart + 1}:`, JSON.stringify(await saw('again')));
  }
  const starts = preStarts.length;
  console.log(`Allocate was called ${allocations} time(s), PreStartContainer ${starts} times`);
  await deletePod('again');

  console.log(`\n2. ${podsInTurn} pods one after the other`);
  let current = 0;
  let gpuKnown = 0;
  const before = preStarts.length;
  for (let index = 0; index < podsInTurn; index += 1) {
    const name = `turn-${index}`;
    await createPod(name, 'exit 0', 'Never');
    await until(`${name} has ended`, async () => {
      const { status } = await world.core.readNamespacedPod({ namespace, name });
      return status?.phase === 'Succeeded';
    });
    const { FROM_CDI } = await saw(name);
    const last = preStarts.at(-1);
    if (FROM_CDI === last?.written) current += 1;
    if (last?.gpus.length === 1) gpuKnown += 1;
    await deletePod(name);
  }
  const lists = preStarts.slice(before).map(({ listMs }) => listMs);
  lists.sort((a, b) => a - b);
  console.log(`what PreStartContainer wrote is what the container saw: ${current} of ${podsInTurn}`);
  console.log(`pod-resources names the pod's GPU during PreStartContainer: ${gpuKnown} of ${podsInTurn}`);
  console.log(
    `pod-resources answers within ${lists.at(lists.length / 2)?.toFixed(1)} ms (median), ${lists.at(-1)?.toFixed(1)} ms (longest)`,
  );

  console.log('\n3. the file is missing when the container is to start');
  writes = false;
  await createPod('missing', 'exit 0', 'Never');
  for (const id of ['nic0', 'nic1', 'nic2', 'nic3']) await rm(specFile(id), { force: true });
  await sleep(4000);
  const { stdout } = await world.cluster.kubectl(['describe', 'pod', 'missing']);
  console.log(stdout.slice(stdout.indexOf('Events:')));
  writes = true;
  await until('the pod ends once the file is there', async () => {
    const { status } = await world.core.readNamespacedPod({ namespace, name: 'missing' });
    return status?.phase === 'Succeeded';
  });
  console.log('with the file there again the same pod ran:', JSON.stringify(await saw('missing')));
  await deletePod('missing');
} finally {
  for (const end of ends) await end();
  for (const id of ['nic0', 'nic1', 'nic2', 'nic3']) await rm(specFile(id), { force: true });
}
