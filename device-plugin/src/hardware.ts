// driver-core as the agent uses it: when to do a round, what the round may take from the last one, and when the kernel is asked again.
import type { NodeResource } from '@data-direct/crds';
import { follow, type Host, Observer, refused, type Trigger, type VerificationLevel } from '@data-direct/driver-core';

import { milliseconds } from './duration.ts';
import { isOffered, notOffered, type OfferedPath } from './offered.ts';
import { PortHistory } from './port-history.ts';

export interface HardwareOptions {
  /** From the first uevent until the round: binding a driver makes a burst of them. */
  readonly debounceMs: number;
  readonly rescanMs: number;
  /** A port that goes down makes no event, so its state is looked at. */
  readonly portPollMs: number;
}

/** How, and how often, the kernel is asked whether a path works. */
export interface Verification {
  readonly level: VerificationLevel;
  readonly intervalMs: number;
}

const LEVELS: readonly VerificationLevel[] = ['None', 'Probe', 'Registration'];
const LONGEST_INTERVAL_MS = 3_600_000;

/** The most that one of the resources asks is done for all: a round observes the paths of all in one go. */
export function strictest(resources: readonly NodeResource[]): Verification {
  const asked = resources.map(({ verification }) => LEVELS.indexOf(verification.level));
  const intervals = resources.map(({ verification }) => milliseconds(verification.interval));
  return {
    level: LEVELS[Math.max(0, ...asked)] ?? 'None',
    intervalMs: Math.min(LONGEST_INTERVAL_MS, ...intervals),
  };
}

/** Two nodes that were started together are not to load the firmware of one fabric at the same moments for ever. */
const JITTER = 0.1;

export class Hardware {
  readonly ports = new PortHistory();
  /** What the last round saw besides: SFs, and what it passed over. */
  notes: readonly string[] = [];
  readonly #host: Host;
  readonly #observer: Observer;
  readonly #options: HardwareOptions;
  /** What asked for the next round. */
  #pending: Trigger | undefined;
  #intervalMs = LONGEST_INTERVAL_MS;
  /** When a port that flapped will count again. */
  #steadyAt = Number.POSITIVE_INFINITY;
  /** Aborted by each round: a new spec may have made the interval shorter, and a port may have begun to be steady. */
  #looked = new AbortController();
  /** When the kernel was asked about every path for the last time, and the share of the interval until the next. */
  #verified = { at: Number.NEGATIVE_INFINITY, jitter: 1 };

  constructor(host: Host, options: HardwareOptions) {
    this.#host = host;
    this.#observer = new Observer(host);
    this.#options = options;
  }

  /** Each element asks for a round, and says why in one word; the first comes at once. Ends when the signal aborts. */
  async *changes(signal: AbortSignal): AsyncGenerator<Trigger['kind']> {
    for await (const trigger of follow(this.#host, { ...this.#options, signal })) {
      this.#pending = merged(this.#pending, trigger);
      yield trigger.kind;
    }
  }

  /** Resolves when a round is due because time has passed, or when the signal aborts. */
  async due(signal: AbortSignal): Promise<void> {
    const { clock } = this.#host;
    do {
      const ms = Math.min(LONGEST_INTERVAL_MS, Math.max(this.#dueInMs, 0) + 1);
      await clock.sleep(ms, AbortSignal.any([signal, this.#looked.signal]));
    } while (!signal.aborted && this.#dueInMs > 0);
  }

  async observe({ level: verification, intervalMs }: Verification): Promise<readonly OfferedPath[]> {
    const trigger = this.#pending ?? NOTHING_CHANGED;
    this.#pending = undefined;
    this.#intervalMs = intervalMs;
    const { clock } = this.#host;
    const reverify = this.#verificationAt <= clock.now();
    if (reverify) this.#verified = { at: clock.now(), jitter: 1 + JITTER * (2 * Math.random() - 1) };
    const seen = await this.#observer.round({ verification, trigger, reverify });
    this.notes = [...seen.filter((path) => !isOffered(path)).map(notOffered), ...this.#observer.passedOver];
    const steady = this.ports.steady(seen.filter(isOffered), clock.now());
    this.#steadyAt = this.ports.nextSteady(clock.now());
    this.#looked.abort();
    this.#looked = new AbortController();
    return steady;
  }

  /** As the kernel shows them; one where it shows none. */
  numaNodes(): number {
    const listed = this.#host.sysfs.list('devices/system/node');
    return refused(listed) ? 1 : listed.filter((name) => /^node\d+$/.test(name)).length;
  }

  /** The kernel is asked about these NICs now, whatever it has said before. */
  async verify(nics: readonly string[], verification: VerificationLevel): Promise<readonly OfferedPath[]> {
    const seen = await this.#observer.round({ verification, trigger: { kind: 'uevents', functions: nics } });
    return seen.filter(isOffered);
  }

  get #verificationAt(): number {
    return this.#verified.at + this.#intervalMs * this.#verified.jitter;
  }

  get #dueInMs(): number {
    return Math.min(this.#verificationAt, this.#steadyAt) - this.#host.clock.now();
  }
}

/** A round that something else than the hardware asked for. */
const NOTHING_CHANGED: Trigger = { kind: 'uevents', functions: [] };

/** What asks for more wins: lost events, then a rescan; events and ports are of functions, and add up. */
const WEIGHT: Readonly<Record<Trigger['kind'], number>> = { gap: 3, start: 2, rescan: 2, uevents: 1, ports: 0 };

function merged(before: Trigger | undefined, next: Trigger): Trigger {
  if (before === undefined) return next;
  if ('functions' in before && 'functions' in next) {
    const kind = before.kind === 'uevents' ? before.kind : next.kind;
    return { kind, functions: [...new Set([...before.functions, ...next.functions])] };
  }
  return WEIGHT[before.kind] < WEIGHT[next.kind] ? next : before;
}
