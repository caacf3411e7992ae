// Everything that a driver has made in the NIC; a reset makes an empty one.
import type { CompletionQueue } from './completion-queue.ts';
import type { EventQueue } from './event-queue.ts';
import type { Hardware } from './hardware.ts';
import { ListRoom, type MemoryKey } from './memory-key.ts';
import type { QueuePair } from './queue-pair.ts';
import { CommandFailure } from './status.ts';

export class Resources {
  readonly hardware: Hardware;
  readonly eqs = new Map<number, EventQueue>();
  readonly cqs = new Map<number, CompletionQueue>();
  readonly qps = new Map<number, QueuePair>();
  readonly mkeys = new Map<number, MemoryKey>();
  /** For the translations of all memory keys. */
  readonly lists = new ListRoom();
  readonly uars = new Set<number>();
  /** By what they are of: things that are no more than a number here. */
  readonly numbers = new Map<string, Set<number>>();
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

/** Before one more is put in. Number 0 is none. */
export function mustHaveRoom(things: { readonly size: number }, what: string, logMost: number): void {
  const most = 2 ** logMost - 1;
  if (things.size >= most) throw new CommandFailure('LIMIT', `there are ${most} ${what}s already`);
}

/** Takes one out; the refusal of a command that names one that does not exist. */
export function takeOut<T>(map: Map<number, T>, what: string, number: number): T {
  const found = existing(map, what, number);
  map.delete(number);
  return found;
}

/** `map`'s entry, or the refusal of a command that names one that does not exist. */
export function existing<T>(map: ReadonlyMap<number, T>, what: string, number: number): T {
  const found = map.get(number);
  if (found === undefined) throw new CommandFailure('BAD_RES', `there is no ${what} ${number}`);
  return found;
}
