// When to do another round: after uevents that bear on paths, after lost ones, and every so often whatever happens.
import type { Host, Uevent } from '../host/host.ts';
import { chainOf } from '../pci/address.ts';

export type Trigger =
  /** Listening has begun: what happens from now on will be told. */
  | { readonly kind: 'start' }
  /** PCI functions that events spoke of. */
  | { readonly kind: 'uevents'; readonly functions: readonly string[] }
  /** Events were lost. */
  | { readonly kind: 'gap' }
  /** Not everything makes an event: a port's state, and RDMA devices of another network namespace, do not. */
  | { readonly kind: 'rescan' };

export interface FollowOptions {
  /** From the first event until the trigger, so that a burst asks for one round. */
  readonly debounceMs: number;
  readonly rescanMs: number;
  readonly signal: AbortSignal;
}

/** RDMA devices tell of themselves only in their own network namespace; PCI functions tell everyone (lib/kobject_uevent.c). */
const SUBSYSTEMS: ReadonlySet<string | undefined> = new Set(['pci', 'infiniband', 'infiniband_verbs']);

/** More than any node has: beyond it nothing is gained by names. */
const MOST_FUNCTIONS = 4096;

/** Ends when the signal aborts. The first trigger comes at once. */
export async function* follow(host: Host, { debounceMs, rescanMs, signal }: FollowOptions): AsyncGenerator<Trigger> {
  const pending = new Pending();
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const failure = Promise.withResolvers<never>();
  // It is met where it is awaited; while the caller does its round nobody awaits it.
  failure.promise.catch(() => undefined);
  const listening = listen(host, ended, pending).catch(failure.reject);
  try {
    yield { kind: 'start' };
    while (!ended.aborted) {
      await Promise.race([pending.something, failure.promise, sleepUnless(host, rescanMs, ended, pending.something)]);
      if (pending.any) await host.clock.sleep(debounceMs, ended);
      if (!ended.aborted) yield pending.take();
    }
  } finally {
    stop.abort();
    await listening;
  }
}

/** A sleep that is given up when something happens, so that no timer outlives its use. */
async function sleepUnless(
  host: Host,
  milliseconds: number,
  ended: AbortSignal,
  something: Promise<void>,
): Promise<void> {
  const happened = new AbortController();
  void something.then(() => happened.abort());
  await host.clock.sleep(milliseconds, AbortSignal.any([ended, happened.signal]));
}

async function listen(host: Host, signal: AbortSignal, pending: Pending): Promise<void> {
  for await (const event of host.uevents(signal)) pending.add(event);
}

/** Events since the last trigger, merged. */
class Pending {
  #functions = new Set<string>();
  #gap = false;
  #wake = Promise.withResolvers<void>();

  get any(): boolean {
    return this.#gap || this.#functions.size > 0;
  }

  add(event: Uevent): void {
    if (event.kind === 'gap') this.#gap = true;
    else for (const address of functionsOf(event)) this.#functions.add(address);
    if (this.#functions.size > MOST_FUNCTIONS) this.#gap = true;
    if (this.any) this.#wake.resolve();
  }

  /** Resolves at the next event that bears on paths. */
  get something(): Promise<void> {
    return this.#wake.promise;
  }

  /** Nothing pending means that the time ran out. */
  take(): Trigger {
    const trigger: Trigger = this.#gap
      ? { kind: 'gap' }
      : this.any
        ? { kind: 'uevents', functions: [...this.#functions] }
        : { kind: 'rescan' };
    this.#functions = new Set();
    this.#gap = false;
    this.#wake = Promise.withResolvers<void>();
    return trigger;
  }
}

/** The function that the event is about, or whose device it is: the last one in its path. */
function functionsOf({ devpath, env }: Extract<Uevent, { kind: 'event' }>): string[] {
  return SUBSYSTEMS.has(env['SUBSYSTEM']) ? chainOf(devpath).slice(-1) : [];
}
