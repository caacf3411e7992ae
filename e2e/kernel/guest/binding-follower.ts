// An application that uses data direct, as one would be written with driver-core: it opens a NIC, registers a buffer, follows the node, and is
// told when its binding ends and begins. It lives from one request to the next.

import { DataDirect, type OpenNic, type OpenPd } from '../../../driver-core/src/binding/data-direct.ts';
import { DataDirectError } from '../../../driver-core/src/binding/errors.ts';
import type { BindingEvent, Unbound } from '../../../driver-core/src/binding/vuid.ts';
import type { Dmabuf, Host } from '../../../driver-core/src/host/host.ts';
import type { MemoryRegion } from '../../../driver-core/src/verbs/memory-region.ts';
import { code, must } from './answers.ts';
import { eventually } from './eventually.ts';
import { openTrackedHost } from './tracked-host.ts';

const bytes = 65536;
/** Nothing but events shall ask for a look. */
const neverMs = 3_600_000;

interface Held {
  readonly nic: OpenNic;
  readonly pd: OpenPd;
  readonly dmabuf: Dmabuf;
  readonly region: MemoryRegion;
}

export class BindingFollower {
  readonly news: BindingEvent[] = [];
  readonly #nic: string;
  readonly #host: Host;
  readonly #dataDirect: DataDirect;
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  #held: Held | undefined;

  /** `nic` is a PCI address. Follows already when this returns. */
  static async start(nic: string): Promise<BindingFollower> {
    const follower = new BindingFollower(nic, await openTrackedHost());
    await eventually('the first look', () => (follower.isBound() ? '' : nic));
    return follower;
  }

  private constructor(nic: string, host: Host) {
    this.#nic = nic;
    this.#host = host;
    this.#dataDirect = new DataDirect(host);
    this.#dataDirect.onBinding((event) => this.news.push(event));
    this.#following = this.#dataDirect.follow({ signal: this.#stop.signal, rescanMs: neverMs });
  }

  /** Opens the NIC, unless it is open, and registers a new buffer. */
  async register(): Promise<void> {
    const nic = this.#held?.nic ?? (await this.#dataDirect.openNic(this.#nic));
    const pd = this.#held?.pd ?? (await nic.allocPd());
    const dmabuf = must(await this.#host.dmabuf(bytes));
    this.#held = { nic, pd, dmabuf, region: await pd.register({ fd: dmabuf.fd, length: bytes }) };
  }

  /** How registering again through the file that is open ends: `ok`, or the errno. */
  async registerAgain(): Promise<string> {
    try {
      await this.register();
      return 'ok';
    } catch (error) {
      return error instanceof DataDirectError ? (error.errno ?? error.code) : String(error);
    }
  }

  /** Waits for this news of the NIC, looking at what came since the last call. */
  async told(kind: BindingEvent['kind']): Promise<void> {
    const isNews = (event: BindingEvent): boolean => event.kind === kind && event.nic === this.#nic;
    await eventually(`the news that ${this.#nic} is ${kind}`, () => (this.news.some(isNews) ? '' : 'the news'));
    this.news.splice(0, this.news.findIndex(isNews) + 1);
  }

  /** The region as its owner sees it: its state, and why it is dead. */
  get region(): string {
    const { state, revoked } = this.#open.region;
    return revoked.aborted ? `${state}: ${(revoked.reason as Unbound).code}` : state;
  }

  /** Ends the region. `ok`, or the errno. */
  async deregister(): Promise<string> {
    return code(await this.#open.region.deregister());
  }

  async closeNic(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    await held?.nic.close();
    await held?.dmabuf.close();
  }

  async end(): Promise<void> {
    await this.closeNic();
    this.#stop.abort();
    await this.#following;
  }

  isBound(): boolean {
    return this.news.some(({ kind, nic }) => kind === 'bound' && nic === this.#nic);
  }

  get #open(): Held {
    if (this.#held === undefined) throw new Error('no region is registered');
    return this.#held;
  }
}
