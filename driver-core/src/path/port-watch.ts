// Port states between rounds. The kernel tells nobody that a port went down: no uevent, no RDMA netlink message, and the async event of the uverbs
// node reaches only who keeps a context open on every NIC (docs/adr/0006). So the state files are read every few seconds, and nothing else is; less often
// where nothing has happened for a while (docs/adr/0022).
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { chainOf, chargedAt } from '../pci/address.ts';

/** Each read asks the firmware. However many ports there are, no more than one part in so many of the time goes into it. */
const LEAST_REST = 20;

/** What has changed will often change again: a cable that is being pushed in, a switch that restarts, a driver that was bound a moment ago. */
const ATTENTIVE_MS = 5 * 60_000;
/** At rest a pause is so many intervals: to wake a process costs more than the little that it reads. */
const AT_REST = 3;

interface Port {
  readonly device: string;
  /** What the device hangs on, below the sysfs root: a PCI function, or an SF below one. */
  readonly parent: string;
  /** The PCI function, by address. */
  readonly function: string;
  /** Below the sysfs root. */
  readonly path: string;
}

/** By the file: a function may have several RDMA devices, an SF has its PF's address. */
type States = ReadonlyMap<string, { readonly function: string; readonly state: string }>;

export class PortWatch {
  readonly #host: Host;
  readonly #intervalMs: number;
  /** What the last round saw, or was about to see. */
  #known: Promise<States>;
  #attentiveUntil = Number.NEGATIVE_INFINITY;
  /** Aborted where a pause is to be shorter than it was when it began. */
  #pause = new AbortController();

  constructor(host: Host, intervalMs: number) {
    this.#host = host;
    this.#intervalMs = intervalMs;
    this.#known = portStates(host);
  }

  /** A round is about to read ports itself, all or those of the functions that it was told of: what differs from now on is news. */
  renew(functions?: readonly string[]): void {
    this.#known = functions ? this.#renewed(new Set(functions)) : portStates(this.#host);
  }

  async #renewed(functions: ReadonlySet<string>): Promise<States> {
    const [before, now] = await Promise.all([this.#known, portStates(this.#host, functions)]);
    return new Map([...[...before].filter(([, port]) => !functions.has(port.function)), ...now]);
  }

  /** Something happened after which ports often come up or go down: for some minutes they are looked at in every interval. */
  attend(): void {
    const now = this.#host.clock.now();
    const wasAtRest = now >= this.#attentiveUntil;
    this.#attentiveUntil = now + ATTENTIVE_MS;
    if (wasAtRest) this.#endPause();
  }

  /** Calls `changed` with the functions whose ports came, went or changed their state. Ends when the signal aborts. */
  async run(signal: AbortSignal, changed: (functions: readonly string[]) => void): Promise<void> {
    const { clock } = this.#host;
    signal.addEventListener('abort', () => this.#endPause());
    let took = 0;
    while (!signal.aborted) {
      if (!(await this.#paused(took))) continue;
      const began = clock.now();
      const functions = await unlessAborted(this.#news(), signal);
      if (!functions) return;
      if (functions.length > 0) changed(functions);
      took = clock.now() - began;
    }
  }

  /** False where the pause was ended before its time. */
  async #paused(took: number): Promise<boolean> {
    const { clock } = this.#host;
    const { signal } = this.#pause;
    const intervals = clock.now() < this.#attentiveUntil ? 1 : AT_REST;
    await clock.sleep(Math.max(this.#intervalMs * intervals, LEAST_REST * took), signal);
    return !signal.aborted;
  }

  #endPause(): void {
    this.#pause.abort();
    this.#pause = new AbortController();
  }

  async #news(): Promise<string[]> {
    const known = this.#known;
    const [before, now] = await Promise.all([known, portStates(this.#host)]);
    // While it was read, a round may have begun that sees more.
    if (this.#known !== known) return [];
    this.#known = Promise.resolve(now);
    return differing(before, now);
  }
}

/** Undefined once the signal aborts: a port that hangs must not keep the end waiting. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const end = (): void => aborted.resolve(undefined);
  signal.addEventListener('abort', end);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** For the first port of each RDMA device: ConnectX functions have one. */
async function portStates(host: Host, of?: ReadonlySet<string>): Promise<States> {
  const ports = portsOf(host).filter((port) => of?.has(port.function) ?? true);
  const states = ports.map(async ({ parent, function: address, path, device }) => {
    const bytes = await host.sysfs.readSlow(path, chargedAt(parent));
    // A port that answers no more is one state, whichever errno says so.
    const state = refused(bytes) ? 'unreadable' : `${device} ${bytes.toString('latin1')}`;
    return [path, { function: address, state }] as const;
  });
  return new Map(await Promise.all(states));
}

const CLASS = 'class/infiniband';

function portsOf({ sysfs }: Host): Port[] {
  const devices = sysfs.list(CLASS);
  if (refused(devices)) return [];
  return devices.flatMap((device): Port[] => {
    // Written by the kernel from here to there (fs/sysfs/symlink.c): …/0000:03:00.0/infiniband/mlx5_0, of an SF …/mlx5_core.sf.4/infiniband/mlx5_5.
    const target = sysfs.link(`${CLASS}/${device}`);
    if (refused(target)) return [];
    const path = target.replace(/^(\.\.\/)+/, '');
    const parent = path.replace(/\/infiniband\/[^/]+$/, '');
    const address = chainOf(parent).at(-1);
    return address === undefined ? [] : [{ device, parent, function: address, path: `${path}/ports/1/state` }];
  });
}

function differing(before: States, now: States): string[] {
  const files = new Set([...before.keys(), ...now.keys()]);
  const changed = [...files].filter((file) => before.get(file)?.state !== now.get(file)?.state);
  return [...new Set(changed.flatMap((file) => (now.get(file) ?? before.get(file))?.function ?? []))];
}
