// Random hardware events against a whole agent on a virtual tray, its kubelet among what breaks. After each event what the agent says is held
// against a look with fresh eyes. Time is the tray's own clock, so that thousands of rounds take minutes; the same seed does the same.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import type { DataDirectNodeStatus } from '@data-direct/crds';
import {
  applyChange,
  type Change,
  createVirtualHost,
  loadFixture,
  ManualClock,
  Observer,
  type VirtualHost,
} from '@data-direct/driver-core';
import { createLog } from '@data-direct/process';

import { Allocations } from '../containers/allocations.ts';
import { createAgent } from '../create-agent.ts';
import { VirtualKubelet } from '../kubelet/virtual/kubelet.ts';
import type { FollowedSpec, NodeObject } from '../node-object.ts';
import { nodeSpec } from '../node-spec.ts';
import { isOffered } from '../offered.ts';
import { PortHistory } from '../port-history.ts';
import { generator } from './random.ts';

interface TormentOptions {
  readonly events: number;
  readonly seed: number;
}

export interface Torment {
  /** Rounds that were reported. */
  readonly rounds: number;
  /** How often each event came. */
  readonly events: ReadonlyMap<string, number>;
  /** Where the agent did not come to the truth, with both. */
  readonly wrong: readonly string[];
  /** What the process held when all was well at first, and when all was well again. */
  readonly before: Held;
  readonly after: Held;
}

/** What may leak. */
interface Held {
  readonly descriptors: number;
  /** Timers, sockets, watchers: what keeps Node's loop alive. */
  readonly resources: number;
  readonly heapMib: number;
}

const PATH = 'datadirect.dev/path';
const SPEC = {
  resources: [{ name: 'path', policy: 'torment', policyGeneration: 1, dataDirect: 'Required' }],
};

interface Fault {
  readonly cause: Change;
  readonly mend: Change;
  /** The kernel tells of it; of the others nobody hears, until events are lost or a rescan is due. */
  readonly isTold: boolean;
}

/** Each can be there or not whatever the others are. Functions by their address: RDMA devices get new numbers when drivers come back. */
const FAULTS: readonly Fault[] = [
  { cause: ['unbind', '0009:03:00.0'], mend: ['bind', '0009:03:00.0'], isTold: true },
  { cause: ['wedge', '0000:03:00.0'], mend: ['unwedge', '0000:03:00.0'], isTold: false },
  { cause: ['remove', '0008:03:00.0'], mend: ['add', '0008:03:00.0'], isTold: true },
  { cause: ['unbind', '0002:03:00.0'], mend: ['bind', '0002:03:00.0'], isTold: true },
  { cause: ['port-down', '0010:03:00.0'], mend: ['port-up', '0010:03:00.0'], isTold: false },
  { cause: ['vpd-unreadable', '0010:03:00.0'], mend: ['vpd-restore', '0010:03:00.0'], isTold: false },
  { cause: ['refuse', '0012:03:00.0', 'open', 'EIO'], mend: ['allow', '0012:03:00.0'], isTold: false },
  { cause: ['unbind', '0018:03:00.0'], mend: ['bind', '0018:03:00.0'], isTold: true },
];

/** Most waits are the tray's, and these turns see their end. Sockets and the kubelet take real time: a second and more is given, several times. */
const QUICK_TURNS = 300;
const SLOW_TURNS = 1000;
const LOOKS = 10;
const TICK_MS = 50;

/** The agent's node object, in memory. */
class Recorder implements NodeObject {
  reports = 0;
  #status: DataDirectNodeStatus | undefined;

  start(onChange: () => void): void {
    onChange();
  }

  spec(): FollowedSpec {
    return { spec: nodeSpec(SPEC, 'torment', { unknownFields: 'refuse' }), generation: 1 };
  }

  status(): DataDirectNodeStatus | undefined {
    return this.#status;
  }

  report(status: DataDirectNodeStatus): void {
    this.#status = status;
    this.reports += 1;
  }

  kubeletVersion(): undefined {}
  warn(): void {}
  stop(): Promise<void> {
    return Promise.resolve();
  }
}

export async function torment({ events, seed }: TormentOptions): Promise<Torment> {
  const directory = mkdtempSync(join(tmpdir(), 'torment-'));
  const clock = new ManualClock();
  const host = createVirtualHost(await loadFixture('gb300-tray'), { clock });
  const kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  const node = new Recorder();
  const agent = createAgent({
    host,
    node,
    kubeletDir: directory,
    deviceDir: '/dev',
    cdiDir: join(directory, 'cdi'),
    linkDir: join(directory, 'links'),
    allocations: new Allocations(join(directory, 'allocations.json')),
    rescanSeconds: 30,
    log: createLog('silent'),
  });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  const eyes = new FreshEyes(host, clock);
  const said = (): string => JSON.stringify({ ...told(node.status()), healthy: kubelet.healthy(PATH).toSorted() });
  /** The truth is looked at again while the agent has not come to it: a port that was kept back may count by now. */
  const settled = async (what: string): Promise<void> => {
    let expected = '';
    for (let look = 0; look < LOOKS; look += 1) {
      expected = await passing(clock, eyes.look());
      if (await until(clock, () => said() === expected)) return;
    }
    wrong.push(`${what}: ${said()}, expected ${expected}`);
  };
  try {
    await settled('at first');
    const before = held();
    const random = generator(seed);
    const broken = new Set<Fault>();
    for (let count = 0; count < events; count += 1) {
      const what = await event(random);
      counts.set(what, (counts.get(what) ?? 0) + 1);
      await settled(`${count} ${what}`);
    }
    for (const { mend } of broken) applyChange(host, mend, true);
    clock.advance(STEADY_AGAIN_MS);
    await settled('in the end');
    await until(clock, () => kubelet.healthy(PATH).length === 4);
    return { rounds: node.reports, events: counts, wrong, before, after: held() };

    async function event(next: () => number): Promise<string> {
      const index = Math.floor(next() * (FAULTS.length + 3));
      const fault = FAULTS[index];
      if (fault === undefined) return kubeletEvent(index - FAULTS.length);
      const isMending = broken.delete(fault);
      if (!isMending) broken.add(fault);
      const change = isMending ? fault.mend : fault.cause;
      const isLost = !fault.isTold || next() < 0.5;
      applyChange(host, change, isLost);
      return `${change.slice(0, 2).join(' ')}${isLost ? ', events lost' : ''}`;
    }

    async function kubeletEvent(kind: number): Promise<string> {
      if (kind === 0) {
        await kubelet.restart();
        return 'kubelet restarts';
      }
      if (kind === 1) {
        kubelet.breakStream(PATH);
        return 'stream breaks';
      }
      const ids = kubelet.healthy(PATH);
      await Promise.allSettled(ids.map((id) => kubelet.allocate(PATH, [id])));
      return 'allocations';
    }
  } finally {
    stop.abort();
    await passing(clock, running);
    kubelet.stop();
    await host.close();
    rmSync(directory, { recursive: true, maxRetries: 5 });
  }
}

/** Longer than a port that fell again and again is kept back, and than falls are counted. */
const STEADY_AGAIN_MS = 10 * 60_000;

/** Every path's reason, and which devices pods can be given, by one who has never looked before. What ports did is remembered. */
class FreshEyes {
  readonly #host: VirtualHost;
  readonly #clock: ManualClock;
  readonly #ports = new PortHistory();

  constructor(host: VirtualHost, clock: ManualClock) {
    this.#host = host;
    this.#clock = clock;
  }

  async look(): Promise<string> {
    const seen = await new Observer(this.#host).round({ verification: 'Probe', trigger: { kind: 'gap' } });
    const paths = this.#ports.steady(seen.filter(isOffered), this.#clock.now());
    const reasons = Object.fromEntries(paths.map(({ id, reason }) => [id, reason]));
    const healthy = paths.filter(({ state, dma, nic }) => state === 'Ready' && dma && nic.model === 'ConnectX-8');
    return JSON.stringify({ reasons, healthy: healthy.map(({ id }) => id).toSorted() });
  }
}

function told(status: DataDirectNodeStatus | undefined): object {
  return { reasons: Object.fromEntries((status?.paths ?? []).map(({ id, reason }) => [id, reason])) };
}

/** Lets the tray's time pass while the work is under way. */
async function passing<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  await until(clock, () => isDone);
  return done; // bounded by whoever calls: a look and an agent that ends both are
}

async function until(clock: ManualClock, holds: () => boolean): Promise<boolean> {
  for (let count = 0; count < QUICK_TURNS + SLOW_TURNS && !holds(); count += 1) {
    await (count < QUICK_TURNS ? turn() : sleep(1));
    clock.advance(TICK_MS);
  }
  return holds();
}

function held(): Held {
  globalThis.gc?.();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
    heapMib: process.memoryUsage().heapUsed / 2 ** 20,
  };
}
