// The node agent's loop. A round reads the whole truth, decides, and tells the kubelet; behind it a second loop reports to the API.
// Events (uevents, a rescan, a new spec) only ask for another round.
import type { DataDirectNodeSpec } from '@data-direct/crds';
import { errorFields, type Log } from '@data-direct/process';

import { Bell } from './bell.ts';
import { orAborted } from './delay.ts';
import type { Allocations } from './containers/allocations.ts';
import type { GpuNames } from './allocation/gpu-names.ts';
import { GiveBack } from './give-back.ts';
import { type Hardware, strictest } from './hardware.ts';
import { kubeletEvents } from './kubelet-events.ts';
import { Kubelet } from './kubelet/kubelet.ts';
import type { PodResources } from './kubelet/pod-resources.ts';
import type { Metrics } from './metrics.ts';
import { NicMemory } from './nic-memory.ts';
import type { FollowedSpec, NodeObject } from './node-object.ts';
import { Notes } from './notes.ts';
import { assign } from './pool.ts';
import { repeat } from './repeat.ts';
import type { Reporter, Result } from './reporter.ts';
import type { RuntimeFiles } from './runtime-files.ts';
import { hintsRefusal } from './topology-hints.ts';

export interface AgentOptions {
  readonly hardware: Hardware;
  readonly node: NodeObject;
  readonly reporter: Reporter;
  readonly podResources: PodResources;
  readonly gpuNames: GpuNames;
  readonly allocations: Allocations;
  /** Such as /var/lib/kubelet/device-plugins. */
  readonly pluginDirectory: string;
  readonly files: RuntimeFiles;
  readonly rescanSeconds: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

const LEAVE_MS = 2000;
/** The kubelet is asked again so soon where what it said of containers may have changed. */
const REPORT_MS = 60_000;
/** A device that hangs holds a round up for some seconds, and the machine may be busy. */
const LATE_SECONDS = 120;
/** A registration takes milliseconds. A report that came before it would make a new resource look degraded for a moment. */
const REGISTRATION_MS = 1000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #kubelet: Kubelet;
  readonly #nics = new NicMemory();
  readonly #giveBack = new GiveBack();
  readonly #notes = new Notes();
  readonly #roundBell = new Bell();
  readonly #reportBell = new Bell();
  #nextReport: NodeJS.Timeout | undefined;
  #last: Result | undefined;
  #lastEnded = performance.now();

  constructor(options: AgentOptions) {
    const { pluginDirectory: directory, files, podResources, gpuNames, allocations } = options;
    const { hardware, node, log, metrics } = options;
    this.#options = options;
    this.#kubelet = new Kubelet({
      directory,
      files,
      podResources,
      gpuNames,
      verify: (nics, level) => hardware.verify(nics, level),
      events: kubeletEvents(log, metrics, {
        reportAgain: this.#reportBell.ring,
        reportLater: this.#reportLater,
        roundAgain: this.#roundBell.ring,
        remember: (allocation) => allocations.remember(allocation),
        worked: this.#giveBack.worked,
        warn: (reason, action, note) => node.warn(reason, action, note),
      }),
    });
  }

  /** Runs until the signal aborts, and leaves in bounded time even if a device does not answer. */
  async run(signal: AbortSignal): Promise<void> {
    const { node } = this.#options;
    node.start(this.#roundBell.ring);
    const running = Promise.all([
      repeat(signal, this.#failed, () => this.#listen(signal)),
      repeat(signal, this.#failed, () => this.#wait(signal)),
      repeat(signal, this.#failed, () => this.#round(signal)),
      repeat(signal, this.#failed, () => this.#report(signal)),
    ]);
    await orAborted(running, signal);
    clearTimeout(this.#nextReport);
    await Promise.all([this.#kubelet.close(), node.stop(LEAVE_MS)]);
  }

  /** Where hardware cannot be followed, each new try begins with a wish for a round: it is looked at all the same. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { hardware, metrics } = this.#options;
    for await (const cause of hardware.changes(signal)) {
      metrics.roundAsked(cause);
      this.#roundBell.ring();
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { hardware, metrics } = this.#options;
    await hardware.due(signal);
    if (signal.aborted) return;
    metrics.roundAsked('due');
    this.#roundBell.ring();
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { hardware, node, files, metrics, log } = this.#options;
    await this.#roundBell.answer(signal);
    const began = performance.now();
    const { spec, generation } = node.spec() ?? NOTHING_ASKED;
    const paths = await hardware.observe(strictest(spec.resources));
    if (signal.aborted) return;
    this.#notes.tell(hardware.notes, log);
    const reported = node.status()?.paths ?? [];
    this.#nics.learn(reported);
    hardware.ports.learn(reported);
    const assignment = assign(spec, paths, (path) => this.#nics.recall(path), this.#hintsRefused(spec));
    await files.publish(assignment);
    await this.#kubelet.advertise(assignment);
    this.#last = { assignment, generation, portFalls: (id) => hardware.ports.falls(id) };
    this.#lastEnded = performance.now();
    metrics.round(assignment, (this.#lastEnded - began) / 1000);
    this.#reportBell.ring();
  }

  /** The kubelet's version is asked for only where it matters. */
  #hintsRefused({ resources }: DataDirectNodeSpec): string | undefined {
    if (!resources.some(({ topologyHints }) => topologyHints === 'DmaNumaNode')) return undefined;
    const { hardware, node } = this.#options;
    return hintsRefusal({ numaNodes: hardware.numaNodes(), kubeletVersion: node.kubeletVersion() });
  }

  async #report(signal: AbortSignal): Promise<void> {
    await this.#reportBell.answer(signal);
    clearTimeout(this.#nextReport);
    this.#nextReport = undefined;
    await this.#kubelet.followed(AbortSignal.any([signal, AbortSignal.timeout(REGISTRATION_MS)]));
    if (!this.#last || signal.aborted) return;
    const { reporter } = this.#options;
    const ages = await reporter.report(this.#last, (resource) => this.#kubelet.isRegistered(resource));
    if (ages) this.#reportLater();
  }

  /** Containers come and go, and the hardware knows nothing of it. */
  readonly #reportLater = (): void => {
    this.#nextReport ??= setTimeout(this.#reportBell.ring, REPORT_MS);
  };

  /** A round that failed is owed: it is asked for again. */
  readonly #failed = (error: unknown): void => {
    this.#options.metrics.trouble('round', error);
    this.#options.log.error(errorFields(error), 'a round failed and is tried again');
    this.#roundBell.ring();
  };

  /** What keeps the process from being well, or undefined. A reason here makes the kubelet restart the agent. */
  illness(): string | undefined {
    const seconds = (performance.now() - this.#lastEnded) / 1000;
    const limit = this.#options.rescanSeconds + LATE_SECONDS;
    return seconds > limit ? `no round has ended for ${Math.round(seconds)} s` : undefined;
  }

  /** All it knows, for somebody who has to find out what is wrong (SIGUSR2). */
  state(): object {
    const { node } = this.#options;
    return {
      followed: node.spec(),
      lastRoundEndedMsAgo: Math.round(performance.now() - this.#lastEnded),
      resources: this.#last?.assignment.pools.map(({ resource, devices }) => ({
        name: resource.name,
        isRegistered: this.#kubelet.isRegistered(resource.name),
        devices: devices.map(({ id, healthy }) => ({ id, healthy })),
      })),
      paths: this.#last?.assignment.paths,
      status: node.status(),
    };
  }

  /** What it still waits for, or undefined. */
  unready(): string | undefined {
    if (!this.#last) return 'the first round has not ended';
    const wanted = this.#last.assignment.pools.map(({ resource }) => resource.name);
    const missing = wanted.filter((name) => !this.#kubelet.isRegistered(name));
    return missing.length > 0 ? `the kubelet does not follow ${missing.join(', ')}` : undefined;
  }
}

/** While no spec is known: paths are observed and nothing is advertised. */
const NOTHING_ASKED: FollowedSpec = { spec: { resources: [] }, generation: undefined };
