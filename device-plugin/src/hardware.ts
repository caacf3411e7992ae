// driver-core as the agent uses it: when to do a round, and what the round may take from the last one.
import { follow, type Host, Observer, type Path, type Trigger, type VerificationLevel } from '@data-direct/driver-core';

export interface HardwareOptions {
  /** From the first uevent until the round: binding a driver makes a burst of them. */
  readonly debounceMs: number;
  readonly rescanMs: number;
  /** A port that goes down makes no event, so its state is looked at. */
  readonly portPollMs: number;
}

export class Hardware {
  readonly #host: Host;
  readonly #observer: Observer;
  readonly #options: HardwareOptions;
  /** What asked for the next round. */
  #pending: Trigger | undefined;

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

  observe(verification: VerificationLevel): Promise<readonly Path[]> {
    const trigger = this.#pending ?? NOTHING_CHANGED;
    this.#pending = undefined;
    return this.#observer.round({ verification, trigger });
  }
}

/** A round that something else than the hardware asked for. */
const NOTHING_CHANGED: Trigger = { kind: 'uevents', functions: [] };

/** What asks for more wins: lost events, then a rescan, then events about some functions, then ports. */
const WEIGHT: Readonly<Record<Trigger['kind'], number>> = { gap: 3, start: 2, rescan: 2, uevents: 1, ports: 0 };

function merged(before: Trigger | undefined, next: Trigger): Trigger {
  if (before === undefined) return next;
  if (before.kind === 'uevents' && next.kind === 'uevents')
    return { kind: 'uevents', functions: [...new Set([...before.functions, ...next.functions])] };
  return WEIGHT[before.kind] < WEIGHT[next.kind] ? next : before;
}
