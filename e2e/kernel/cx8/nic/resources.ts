// Everything that a driver has made in the NIC; a reset makes an empty one.
import type { CompletionQueue } from './completion-queue.ts';
import type { EventQueue } from './event-queue.ts';
import type { Hardware } from './hardware.ts';
import type { MemoryKey } from './memory-key.ts';
import type { QueuePair } from './queue-pair.ts';
import { CommandFailure } from './status.ts';

export class Resources {
  readonly hardware: Hardware;
  readonly eqs = new Map<number, EventQueue>();
  readonly cqs = new Map<number, CompletionQueue>();
  readonly qps = new Map<number, QueuePair>();
  readonly mkeys = new Map<number, MemoryKey>();
  readonly uars = new Set<number>();
  #lastNumber = 0;

  constructor(hardware: Hardware) {
    this.hardware = hardware;
  }

  /** Never used before since the reset, so that an old number never means a new thing. */
  nextNumber(): number {
    this.#lastNumber += 1;
    if (this.#lastNumber > 0xff_ffff) throw new CommandFailure('NO_RES', 'all 24-bit numbers have been given out');
    return this.#lastNumber;
  }

  /** To every event queue that wants events of the type. */
  tell(event: Parameters<EventQueue['post']>[0] & { type: number }): void {
    for (const eq of this.eqs.values()) if (eq.wants(event.type)) eq.post(event);
  }
}

/** `map`'s entry, or the refusal of a command that names one that does not exist. */
export function existing<T>(map: ReadonlyMap<number, T>, what: string, number: number): T {
  const found = map.get(number);
  if (found === undefined) throw new CommandFailure('BAD_RES', `there is no ${what} ${number}`);
  return found;
}
