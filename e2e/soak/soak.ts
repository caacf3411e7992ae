// The bundled agent under random faults for many minutes: its hardware breaks and heals, its kubelet restarts, streams end, pods come. In the end
// everything is mended, and the agent has to be right and no bigger than it was. `make soak SOAK_MINUTES=10` draws build/soak/memory.svg.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { generator, VirtualKubelet } from '@data-direct/device-plugin/virtual';
import { requestChange } from '@data-direct/driver-core';

import { bundle, programs } from '../../scripts/bundle.ts';
import { hostArchitecture } from '../../scripts/image/architectures.ts';
import { ENVIRONMENT, NODE_FLAGS } from '../rig/as-in-the-chart.ts';
import { drawCurve, type Sample } from './curve.ts';

const built = join(import.meta.dirname, '../../build/soak');
const PATH = 'datadirect.dev/path';
/** Of the shipped tray: NICs with the DMA function that each is paired with. */
const PAIRS = [
  ['0000:03:00.0', '0009:03:00.0'],
  ['0002:03:00.0', '0008:03:00.0'],
] as const;
const SETTLED_MS = 30_000;
/** A port that fell again and again has to be up for a minute before it counts (device-plugin/src/port-history.ts). */
const HEALED_MS = 3 * 60_000;

interface Fault {
  readonly name: string;
  readonly cause: () => Promise<void>;
  readonly mend: () => Promise<void>;
}

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const minutes = Number(values.minutes);
const random = generator(Number(values.seed));

await bundle({ entries: { agent: programs.agent }, directory: built, architectures: [hostArchitecture()] });
const directory = mkdtempSync(join(tmpdir(), 'soak-'));
const control = join(directory, 'virtual.sock');
const kubelet = new VirtualKubelet(directory);
await kubelet.start();
writeFileSync(
  join(directory, 'spec.json'),
  JSON.stringify({ resources: [{ name: 'path', policy: 'soak', policyGeneration: 1, dataDirect: 'Required' }] }),
);
writeFileSync(
  join(directory, 'agent.json'),
  JSON.stringify({
    kubeletDir: directory,
    stateDir: join(directory, 'state'),
    specFile: join(directory, 'spec.json'),
    rescanSeconds: 5,
    logLevel: 'error',
    http: { address: '127.0.0.1', port: 0 },
    virtualHost: { fixture: 'gb300-tray', deviceDir: join(directory, 'dev'), controlSocket: control },
  }),
);
const command = [...NODE_FLAGS, join(built, 'agent.mjs'), '--config', join(directory, 'agent.json')];
const agent = spawn(process.execPath, command, {
  env: { ...process.env, ...ENVIRONMENT },
  stdio: ['ignore', 'inherit', 'inherit'],
});
const ended = new Promise<number | null>((resolve) => void agent.once('exit', resolve));
const samples: Sample[] = [];
try {
  await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4, 30_000);
  await sleep(SETTLED_MS);
  await torment();
  draw();
  await kubelet.until('four paths in the end', () => kubelet.healthy(PATH).length === 4, HEALED_MS);
  const { devices } = await kubelet.allocate(PATH, kubelet.healthy(PATH));
  if (devices.length !== 4) throw new Error(`${devices.length} devices for four paths`);
  await sleep(SETTLED_MS);
  sample('settled again');
  draw();
  agent.kill('SIGTERM');
  const status = await ended;
  if (status !== 0) throw new Error(`the agent ended with ${status}`);
  judge();
} finally {
  agent.kill('SIGKILL');
  kubelet.stop();
  rmSync(directory, { recursive: true });
}

/** Some of these nobody announces: the agent is told that events were lost, as it would be by the kernel. */
function change(...words: string[]): () => Promise<void> {
  return () => requestChange(control, words, true);
}

async function torment(): Promise<void> {
  const faults: Fault[] = [
    ...PAIRS.flatMap(([nic, dma]): Fault[] => [
      { name: 'unbind DMA function', cause: change('unbind', dma), mend: change('bind', dma) },
      { name: 'unbind NIC', cause: change('unbind', nic), mend: change('bind', nic) },
      { name: 'remove DMA function', cause: change('remove', dma), mend: change('add', dma) },
      { name: 'port down', cause: change('port-down', nic), mend: change('port-up', nic) },
      { name: 'VPD unreadable', cause: change('vpd-unreadable', nic), mend: change('vpd-restore', nic) },
      { name: 'wedge', cause: change('wedge', nic), mend: change('unwedge', nic) },
    ]),
    { name: 'kubelet restarts', cause: () => kubelet.restart(), mend: () => Promise.resolve() },
    { name: 'stream ends', cause: () => Promise.resolve(kubelet.breakStream(PATH)), mend: () => Promise.resolve() },
    { name: 'pods come', cause: allocations, mend: () => Promise.resolve() },
  ];
  const counts = new Map<string, number>();
  const end = performance.now() + minutes * 60_000;
  sample('settled');
  for (let step = 0; performance.now() < end; step += 1) {
    const fault = faults[Math.floor(random() * faults.length)];
    if (!fault) continue;
    await fault.cause();
    await sleep(random() * 400);
    await fault.mend();
    counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
    if (step % 4 === 0) sample('');
  }
  console.log([...counts].map(([name, count]) => `${String(count).padStart(6)} × ${name}`).join('\n'));
}

/** Those that come at a bad moment are refused, as they should be. */
async function allocations(): Promise<void> {
  const ids = kubelet.healthy(PATH);
  await Promise.allSettled(ids.flatMap((id) => Array.from({ length: 25 }, () => kubelet.allocate(PATH, [id]))));
}

function sample(what: string): void {
  const rollup = readFileSync(`/proc/${agent.pid}/smaps_rollup`, 'utf8');
  const kib = Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)?.[1]);
  const descriptors = readdirSync(`/proc/${agent.pid}/fd`).length;
  samples.push({ minute: process.uptime() / 60, mib: kib / 1024, descriptors });
  if (what !== '') console.log(`${what}: ${(kib / 1024).toFixed(1)} MiB, ${descriptors} descriptors`);
}

/** Whatever becomes of the rest. */
function draw(): void {
  mkdirSync(built, { recursive: true });
  writeFileSync(join(built, 'memory.svg'), drawCurve(samples));
}

/** Between settled and settled, and whether it was level in between. */
function judge(): void {
  console.log(`${join(built, 'memory.svg')}: ${samples.length} samples`);
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) throw new Error('no samples');
  const [early, late] = [mean(0.25, 0.5), mean(0.75, 1)];
  console.log(`under faults: ${early.toFixed(1)} MiB in the second quarter, ${late.toFixed(1)} MiB in the last`);
  if (last.descriptors > first.descriptors + 2)
    throw new Error(`descriptors leak: ${first.descriptors} → ${last.descriptors}`);
  if (late > early * 1.1 + 2) throw new Error('memory leaks: it was not level under faults');
  if (last.mib > first.mib * 1.5 + 4)
    throw new Error(`memory is not given back: ${first.mib.toFixed(1)} → ${last.mib.toFixed(1)} MiB`);
}

/** Of memory, over a part of the time under faults. What is compiled in the first quarter is no leak. */
function mean(from: number, to: number): number {
  const part = samples.slice(1, -1).slice(from * (samples.length - 2), to * (samples.length - 2));
  return part.reduce((sum, { mib }) => sum + mib, 0) / part.length;
}
