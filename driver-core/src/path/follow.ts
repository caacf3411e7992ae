// When to do another round: after uevents that bear on paths, after lost ones, when a port changed, and every so often whatever happens.
import type { Host, Uevent } from '../host/host.ts';
import { chainOf, pciAddressIn } from '../pci/address.ts';
import { PortWatch } from './port-watch.ts';

export type Trigger =
  /** Listening has begun: what happens from now on will be told. */
  | { readonly kind: 'start' }
  /** PCI functions that events spoke of. */
  | { readonly kind: 'uevents'; readonly functions: readonly string[] }
  /** Ports of these functions came, went or changed their state, and nothing else is known to have happened. */
  | { readonly kind: 'ports'; readonly functions: readonly string[] }
  /** Events were lost. */
  | { readonly kind: 'gap' }
  /** Not everything makes an event: ACS bits, and RDMA devices of another network namespace, do not. */
  | { readonly kind: 'rescan' };

/** Of these NICs (their ids) those that a trigger speaks of. What is said of a PF may be about an SF of it, which has no address of its own. */
export function named({ functions }: { readonly functions: readonly string[] }, nics: Iterable<string>): string[] {
  if (functions.length === 0) return [];
  const spokenOf = new Set(functions);
  return [...nics].filter((id) => spokenOf.has(id) || spokenOf.has(pciAddressIn(id)));
}

export interface FollowOptions {
  /** From the first event until the trigger, so that a burst asks for one round. */
  readonly debounceMs: number;
  readonly rescanMs: number;
  /** How often port states are read in the minutes after a change; less often at rest and where it takes long, not at all where it is left out. */
  readonly portPollMs?: number;
  readonly signal: AbortSignal;
}

/**
 * RDMA devices tell of themselves only in their own network namespace; PCI functions tell everyone (lib/kobject_uevent.c), and so do the parts of one
 * that drivers take (auxiliary): mlx5_ib may be loaded anew while mlx5_core stays.
 */
const SUBSYSTEMS: ReadonlySet<string | undefined> = new Set(['pci', 'auxiliary', 'infiniband', 'infiniband_verbs']);

/** More than any node has: beyond it nothing is gained by names. */
const MOST_FUNCTIONS = 4096;

/** Ends when the signal aborts. The first trigger comes at once. */
export async function* follow(host: Host, options: FollowOptions): AsyncGenerator<Trigger> {
  const { debounceMs, rescanMs, portPollMs, signal } = options;
  const pending = new Pending();
  const ports = portPollMs === undefined ? undefined : new PortWatch(host, portPollMs);
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  ended.addEventListener('abort', () => pending.end());
  const listening = Promise.all([
    listen(host, ended, pending),
    ports?.run(ended, (functions) => pending.addPorts(functions)),
  ]).catch((error: unknown) => pending.fail(error));
  try {
    yield { kind: 'start' };
    while (!ended.aborted) {
      await sleepUnless(host, rescanMs, pending.something);
      if (pending.any) await host.clock.sleep(debounceMs, ended);
      if (ended.aborted) return;
      const trigger = pending.take();
      if (trigger.kind !== 'ports') ports?.renew(trigger.kind === 'uevents' ? trigger.functions : undefined);
      if (trigger.kind !== 'rescan') ports?.attend();
      yield trigger;
    }
  } finally {
    stop.abort();
    await listening;
  }
}

/**
 * A sleep that is given up when something happens, so that no timer outlives its use. Here and in port-watch.ts nothing is raced against a promise that
 * lasts as long as following does: it would keep what each wait hangs on it, for weeks.
 */
async function sleepUnless(host: Host, milliseconds: number, something: Promise<void>): Promise<void> {
  const happened = new AbortController();
  void something.then(() => happened.abort());
  await host.clock.sleep(milliseconds, happened.signal);
}

async function listen(host: Host, signal: AbortSignal, pending: Pending): Promise<void> {
  for await (const event of host.uevents(signal)) pending.add(event);
}

/** Events since the last trigger, merged. */
class Pending {
  #functions = new Set<string>();
  #ports = new Set<string>();
  #gap = false;
  #failure: { readonly error: unknown } | undefined;
  #wake = Promise.withResolvers<void>();

  get any(): boolean {
    return this.#gap || this.#functions.size > 0 || this.#ports.size > 0;
  }

  add(event: Uevent): void {
    if (event.kind === 'gap') this.#gap = true;
    else for (const address of functionsOf(event)) this.#functions.add(address);
    if (this.#functions.size > MOST_FUNCTIONS) this.#gap = true;
    if (this.any) this.#wake.resolve();
  }

  addPorts(functions: readonly string[]): void {
    for (const address of functions) this.#ports.add(address);
    this.#wake.resolve();
  }

  /** Nothing more will be heard. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake.resolve();
  }

  end(): void {
    this.#wake.resolve();
  }

  /** Resolves at the next event that bears on paths, and when nothing more comes. */
  get something(): Promise<void> {
    return this.#wake.promise;
  }

  /** Nothing pending means that the time ran out. Throws what ended the listening. */
  take(): Trigger {
    if (this.#failure) throw this.#failure.error;
    const trigger = this.#merged();
    this.#functions = new Set();
    this.#ports = new Set();
    this.#gap = false;
    this.#wake = Promise.withResolvers<void>();
    return trigger;
  }

  /** What asks for more speaks for the rest. */
  #merged(): Trigger {
    if (this.#gap) return { kind: 'gap' };
    if (this.#functions.size > 0)
      return { kind: 'uevents', functions: [...new Set([...this.#functions, ...this.#ports])] };
    return this.#ports.size > 0 ? { kind: 'ports', functions: [...this.#ports] } : { kind: 'rescan' };
  }
}

/** The function that the event is about, or whose device it is: the last one in its path. */
function functionsOf({ devpath, env }: Extract<Uevent, { kind: 'event' }>): string[] {
  return SUBSYSTEMS.has(env['SUBSYSTEM']) ? chainOf(devpath).slice(-1) : [];
}
