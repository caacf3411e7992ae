// Whether a node's agent is there, judged by when this process saw its Lease change. Clocks of others are never believed.
import type { Clock } from '@data-direct/kube';

/** alive: seen beating · awaited: not seen yet, nor for long · silent: no beat for two and a half periods. */
export type Life = 'alive' | 'awaited' | 'silent';

const beatsMissed = 2.5;

interface Watched {
  beaten: boolean;
  /** From when on silence counts. */
  since: number;
}

export class Liveness {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #nodes = new Map<string, Watched>();

  constructor(clock: Clock, heartbeatMs: number) {
    this.#clock = clock;
    this.#graceMs = beatsMissed * heartbeatMs;
  }

  /** The node's Lease came or changed. */
  beat(node: string): void {
    this.#nodes.set(node, { beaten: true, since: this.#clock.now() });
  }

  /** The server could not be heard, so no beat could be seen: for all who were not silent before, silence counts from now. */
  deaf(): void {
    for (const watched of this.#nodes.values()) if (!this.#isSilent(watched)) watched.since = this.#clock.now();
  }

  of(node: string): Life {
    const watched = this.#watched(node);
    if (this.#isSilent(watched)) return 'silent';
    return watched.beaten ? 'alive' : 'awaited';
  }

  /** Milliseconds until the node would be silent; undefined if it is. */
  silentIn(node: string): number | undefined {
    const watched = this.#watched(node);
    return this.#isSilent(watched) ? undefined : watched.since + this.#graceMs - this.#clock.now();
  }

  forget(node: string): void {
    this.#nodes.delete(node);
  }

  /** A node is watched from when it is first asked for, or has beaten. */
  #watched(node: string): Watched {
    const watched = this.#nodes.get(node) ?? { beaten: false, since: this.#clock.now() };
    this.#nodes.set(node, watched);
    return watched;
  }

  #isSilent({ since }: Watched): boolean {
    return this.#clock.now() - since >= this.#graceMs;
  }
}
