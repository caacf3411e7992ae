// Collects what the kernel tells while something is done to it.

import type { Host, Uevent } from '../../../driver-core/src/host/host.ts';

type Event = Extract<Uevent, { kind: 'event' }>;

export interface Collecting {
  readonly of: (event: Event) => boolean;
  /** How many to wait for. The request that waits has its own end. */
  readonly count: number;
  readonly during: () => unknown;
}

export async function collectUevents(host: Host, { of, count, during }: Collecting): Promise<Event[]> {
  const listening = new AbortController();
  const uevents = host.uevents(listening.signal)[Symbol.asyncIterator]();
  const found: Event[] = [];
  let next = uevents.next(); // listening begins here
  await during();
  while (found.length < count) {
    const { value } = (await next) as { value: Uevent };
    if (value.kind === 'event' && of(value)) found.push(value);
    next = uevents.next();
  }
  listening.abort();
  await next;
  return found;
}
