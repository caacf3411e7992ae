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
const AT_REST = 6;

interface Port {
  /** What the device hangs on, below the sysfs root: a PCI function, or an SF below one. */
  readonly parent: string;
  /** The PCI function, by address. */
  readonly function: string;
  /** Below the sysfs root. */
  readonly path: string;
}

interface State {
  readonly function: string;
  readonly state: string;
}

/** By the file, which tells the device's name too: a function may have several RDMA devices, an SF has its PF's address. */
type States = ReadonlyMap<string, State>;

export class PortWatch {
  readonly #host: Host;
  readonly #intervalMs: number;
  /** What the last round saw, or was about to see. */
  #known: Promise<States>;
  #attentiveUntil = Number.NEGATIVE_INFINITY;
  /** Aborted where a pause is to be shorter than it was when it began. */
  #pause = new AbortController();
  /** Ends the waiting for ports that are being read: one that hangs must not keep the end waiting. */
  #giveUp = (): void => undefined;
  readonly #places: Places;

  constructor(host: Host, intervalMs: number) {
    this.#host = host;
    this.#intervalMs = intervalMs;
    this.#places = new Places(host);
    this.#known = this.#states();
  }

  /** A round is about to read ports itself, all or those of the functions that it was told of: what differs from now on is news. */
  renew(functions?: readonly string[]): void {
    this.#places.forget();
    this.#known = functions ? this.#renewed(new Set(functions)) : this.#states();
  }

  async #renewed(functions: ReadonlySet<string>): Promise<States> {
    const [before, now] = await Promise.all([this.#known, this.#states(functions)]);
    return new Map([...[...before].filter(([, port]) => !functions.has(port.function)), ...now]);
  }

  /** Something happened after which ports often come up or go down: for some minutes they are looked at in every interval. */
  attend(): void {
    const now = this.#host.clock.now();
    const wasAtRest = now >= this.#attentiveUntil;
    this.#attentiveUntil = now + ATTENTIVE_MS;
    if (wasAtRest) this.#endPause();
  }

  /** A node that has just booted is attended to. */
  async #attendIfDown(): Promise<void> {
    const states = [...(await this.#known).values()];
    if (states.some(({ state }) => !/\bACTIVE\b/.test(state))) this.attend();
  }

  /** Calls `changed` with the functions whose ports came, went or changed their state. Ends when the signal aborts. */
  async run(signal: AbortSignal, changed: (functions: readonly string[]) => void): Promise<void> {
    const { clock } = this.#host;
    signal.addEventListener('abort', () => {
      this.#endPause();
      this.#giveUp();
    });
    void this.#attendIfDown();
    let took = 0;
    while (!signal.aborted) {
      if (!(await this.#paused(took))) continue;
      const began = clock.now();
      const functions = await this.#news();
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

  /** Undefined once it was given up. */
  #news(): Promise<string[] | undefined> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(undefined);
      this.#look().then(resolve, reject);
    });
  }

  async #look(): Promise<string[]> {
    const known = this.#known;
    const [before, now] = await Promise.all([known, this.#states()]);
    // While it was read, a round may have begun that sees more.
    if (this.#known !== known) return [];
    this.#known = Promise.resolve(now);
    return differing(before, now);
  }

  /** For the first port of each RDMA device: ConnectX functions have one. */
  async #states(of?: ReadonlySet<string>): Promise<States> {
    const ports = this.#places.ports().filter((port) => of?.has(port.function) ?? true);
    const states = await Promise.all(ports.map(async (port) => [port.path, await this.#state(port)] as const));
    return new Map(states);
  }

  async #state({ path, parent, function: address }: Port): Promise<State> {
    const bytes = await this.#host.sysfs.readSlow(path, chargedAt(parent));
    if (!refused(bytes)) return { function: address, state: bytes.toString('latin1') };
    this.#places.forget();
    // A port that answers no more is one state, whichever errno says so.
    return { function: address, state: 'unreadable' };
  }
}

const CLASS = 'class/infiniband';

/** Where the ports are. Links are read again when there are other names, before rounds, and when a port did not answer: its name may lead elsewhere. */
class Places {
  readonly #host: Host;
  #names: string | undefined;
  #ports: readonly Port[] = [];

  constructor(host: Host) {
    this.#host = host;
  }

  ports(): readonly Port[] {
    const listed = this.#host.sysfs.list(CLASS);
    const devices = refused(listed) ? [] : listed;
    const names = devices.join('/');
    if (names === this.#names) return this.#ports;
    const ports = devices.map((device) => portOf(this.#host, device));
    this.#ports = ports.filter((port) => port !== undefined);
    this.#names = ports.includes(undefined) ? undefined : names;
    return this.#ports;
  }

  forget(): void {
    this.#names = undefined;
  }
}

function portOf({ sysfs }: Host, device: string): Port | undefined {
  // Written by the kernel from here to there (fs/sysfs/symlink.c): …/0000:03:00.0/infiniband/mlx5_0, of an SF …/mlx5_core.sf.4/infiniband/mlx5_5.
  const target = sysfs.link(`${CLASS}/${device}`);
  if (refused(target)) return undefined;
  const path = target.replace(/^(\.\.\/)+/, '');
  const parent = path.replace(/\/infiniband\/[^/]+$/, '');
  const address = chainOf(parent).at(-1);
  return address === undefined ? undefined : { parent, function: address, path: `${path}/ports/1/state` };
}

function differing(before: States, now: States): string[] {
  const files = new Set([...before.keys(), ...now.keys()]);
  const changed = [...files].filter((file) => before.get(file)?.state !== now.get(file)?.state);
  return [...new Set(changed.flatMap((file) => (now.get(file) ?? before.get(file))?.function ?? []))];
}
