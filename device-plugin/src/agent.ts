// The node agent's loop. A round reads the whole truth, decides, and tells the kubelet; behind it a second loop reports to the API.
// Events (uevents, a rescan, a new spec) only ask for another round.
import type { DataDirectNodeSpec } from '@data-direct/crds';
import type { Path, VerificationLevel } from '@data-direct/driver-core';

import { Backoff } from './backoff.ts';
import { Bell } from './bell.ts';
import { delay, orAborted } from './delay.ts';
import type { Health } from './http.ts';
import { Kubelet, type KubeletEvents } from './kubelet/kubelet.ts';
import { errorFields, type Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { FollowedSpec, NodeObject } from './node-object.ts';
import { assign } from './pool.ts';
import type { Reporter, Result } from './reporter.ts';

/** What the agent needs of driver-core. */
export interface Hardware {
  observe(verification: VerificationLevel): Promise<readonly Path[]>;
  /** Each element asks for a round, and says why in one word. Ends when the signal aborts. */
  changes(signal: AbortSignal): AsyncIterable<string>;
}

export interface AgentOptions {
  readonly hardware: Hardware;
  readonly node: NodeObject;
  readonly reporter: Reporter;
  /** Such as /var/lib/kubelet/device-plugins. */
  readonly pluginDirectory: string;
  /** The node's /dev, or a virtual host's. */
  readonly deviceDir: string;
  readonly rescanSeconds: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

const LEAVE_MS = 2000;
const BACKOFF = { firstMs: 200, maxMs: 30_000 };
/** An allocation shows in pod-resources once the kubelet has put it down. */
const ALLOCATION_SETTLES_MS = 1000;

export class Agent implements Health {
  readonly #options: AgentOptions;
  readonly #kubelet: Kubelet;
  readonly #roundBell = new Bell();
  readonly #reportBell = new Bell();
  #last: Result | undefined;
  #lastRound = performance.now();

  constructor(options: AgentOptions) {
    this.#options = options;
    const { pluginDirectory: directory, deviceDir } = options;
    this.#kubelet = new Kubelet({ directory, deviceDir, events: this.#kubeletEvents() });
  }

  /** Runs until the signal aborts, and leaves in bounded time even if a device does not answer. */
  async run(signal: AbortSignal): Promise<void> {
    const { node, hardware } = this.#options;
    node.start(this.#roundBell.ring);
    const running = Promise.all([
      this.#listen(hardware.changes(signal)),
      this.#loop(this.#roundBell, signal, () => this.#round(signal)),
      this.#loop(this.#reportBell, signal, () => this.#report()),
    ]);
    await orAborted(running, signal);
    await Promise.all([this.#kubelet.close(), node.stop(LEAVE_MS)]);
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { hardware, node, metrics } = this.#options;
    const began = performance.now();
    const { spec, generation } = node.spec() ?? NOTHING_ASKED;
    const paths = await hardware.observe(strictest(spec));
    if (signal.aborted) return;
    const assignment = assign(spec, paths);
    await this.#kubelet.advertise(assignment);
    this.#lastRound = performance.now();
    this.#last = { assignment, generation };
    metrics.round(assignment, (this.#lastRound - began) / 1000);
    this.#reportBell.ring();
  }

  async #report(): Promise<void> {
    const { reporter } = this.#options;
    if (this.#last) await reporter.report(this.#last, (resource) => this.#kubelet.isRegistered(resource));
  }

  async #listen(changes: AsyncIterable<string>): Promise<void> {
    for await (const cause of changes) {
      this.#options.metrics.roundAsked(cause);
      this.#roundBell.ring();
    }
  }

  /** Works once, then whenever the bell has rung. A failure is told and tried again. */
  async #loop(bell: Bell, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(BACKOFF);
    while (!signal.aborted) {
      try {
        await work();
        backoff.reset();
        await bell.answer(signal);
      } catch (error) {
        this.#options.metrics.trouble('round');
        this.#options.log.error(errorFields(error), 'a round failed and is tried again');
        await delay(backoff.delay(), signal);
      }
    }
  }

  #kubeletEvents(): KubeletEvents {
    const { log, metrics } = this.#options;
    return {
      registered: (resource) => {
        log.info({ resource }, 'the kubelet follows this resource');
        metrics.registration(resource, 'registered');
        this.#reportBell.ring();
      },
      lost: (resource, error) => {
        if (error !== undefined) {
          log.warn({ resource, ...errorFields(error) }, 'the kubelet does not follow this resource; trying again');
          metrics.registration(resource, 'failed');
        }
        this.#reportBell.ring();
      },
      allocated: (resource, ids, seconds, error) => {
        metrics.allocation(resource, error === undefined ? 'ok' : 'error', seconds);
        if (error === undefined) log.info({ resource, ids }, 'allocated');
        else log.warn({ resource, ...errorFields(error) }, 'an allocation was refused');
        setTimeout(this.#reportBell.ring, ALLOCATION_SETTLES_MS).unref();
      },
    };
  }

  illness(): string | undefined {
    const seconds = (performance.now() - this.#lastRound) / 1000;
    const limit = 3 * this.#options.rescanSeconds + 60;
    return seconds > limit ? `no round has ended for ${Math.round(seconds)} s` : undefined;
  }

  unready(): string | undefined {
    if (!this.#last) return 'the first round has not ended';
    const wanted = this.#last.assignment.pools.map(({ resource }) => resource.name);
    const missing = wanted.filter((name) => !this.#kubelet.isRegistered(name));
    return missing.length > 0 ? `the kubelet does not follow ${missing.join(', ')}` : undefined;
  }
}

/** While no spec is known: paths are observed and nothing is advertised. */
const NOTHING_ASKED: FollowedSpec = { spec: { resources: [] }, generation: undefined };

const LEVELS: readonly VerificationLevel[] = ['None', 'Probe', 'Registration'];

/** Paths of all resources are observed in one go, so the most that one of them asks is done for all. */
function strictest({ resources }: DataDirectNodeSpec): VerificationLevel {
  const asked = resources.map((resource) => LEVELS.indexOf(resource.verification.level));
  return LEVELS[Math.max(0, ...asked)] ?? 'None';
}
