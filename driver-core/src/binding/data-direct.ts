// Data direct for an application: open a NIC by name, register DMABUFs so that the NIC reaches them through its DMA function, and be told when that
// ends. The kernel tells no process that its regions were revoked; whoever looks or follows finds out.
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { follow } from '../path/follow.ts';
import type { NicSeen } from '../path/snapshot.ts';
import type { ProtectionDomain } from '../verbs/context.ts';
import { chargedTo } from '../pci/nic.ts';
import { Context } from '../verbs/context.ts';
import { Refusal } from '../verbs/errors.ts';
import type { MemoryRegion } from '../verbs/memory-region.ts';
import { registerDmabuf } from '../verbs/memory-region.ts';
import type { Registration } from '../verbs/registration.ts';
import { DataDirectError, refusedBy } from './errors.ts';
import type { Binding, BindingEvent } from './vuid.ts';
import { BindingWatch, nicIncarnation } from './watch.ts';

export interface BindingFollowOptions {
  readonly signal: AbortSignal;
  /** From the first event until the look, so that a burst asks for one. Default 20. */
  readonly debounceMs?: number;
  /** A look in any case. Default 10000. */
  readonly rescanMs?: number;
}

export class DataDirect {
  readonly #host: Host;
  readonly #watch: BindingWatch;

  constructor(host: Host) {
    this.#host = host;
    this.#watch = new BindingWatch(host);
  }

  /** `name` is an RDMA device (mlx5_0), a PCI address, or what a path of an SF is called by (0000:03:00.0/sf88). Throws a DataDirectError. */
  async openNic(name: string): Promise<OpenNic> {
    const { nics } = await this.#watch.look();
    const nic = nics.find(({ id, rdmaDevice }) => id === name || rdmaDevice === name);
    if (!nic) throw new DataDirectError('NIC_UNKNOWN', `no NIC ${JSON.stringify(name)}; there are ${known(nics)}`);
    if (nic.uverbs === undefined)
      throw new DataDirectError('NIC_WITHOUT_VERBS', `${name} has no uverbs node; load mlx5_ib and ib_uverbs`);
    const before = nicIncarnation(this.#host, nic);
    const context = await Context.open(this.#host, nic.uverbs, chargedTo(nic));
    if (context instanceof Refusal) throw refusedBy(name, context);
    return new OpenNic({ host: this.#host, watch: this.#watch, context, name, nic, incarnation: before });
  }

  /** Tells of every NIC of the node from now on, as far as somebody looks. Returns what ends it. A listener must not throw. */
  onBinding(listener: (event: BindingEvent) => void): () => void {
    return this.#watch.registry.watch(listener);
  }

  /** Looks whenever something happened that bears on bindings, until the signal aborts. Rejects where the node cannot be listened to. */
  async follow({ signal, debounceMs = 20, rescanMs = 10_000 }: BindingFollowOptions): Promise<void> {
    for await (const trigger of follow(this.#host, { signal, debounceMs, rescanMs })) await this.#watch.look(trigger);
  }

  /** One look at the node: what was revoked is known afterwards. */
  async look(): Promise<void> {
    await this.#watch.look();
  }
}

function known(nics: readonly NicSeen[]): string {
  return nics.map(({ id, rdmaDevice }) => rdmaDevice ?? id).join(', ') || 'none';
}

interface Opened {
  readonly host: Host;
  readonly watch: BindingWatch;
  readonly context: Context;
  readonly name: string;
  readonly nic: NicSeen;
  /** Of the RDMA device that the context is on. */
  readonly incarnation: string | undefined;
}

/** An open NIC. It is good until its RDMA device goes (then every call is EIO); closing it frees everything that was made through it. */
export class OpenNic {
  readonly #opened: Opened;

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  /** PCI address; of an SF its PF's and its number: 0000:03:00.0/sf88. */
  get address(): string {
    return this.#opened.nic.id;
  }

  /** PCI address of the DMA function as of the last look; undefined while there is none. */
  get dma(): string | undefined {
    return this.#opened.watch.registry.bindingOf(this.address)?.dma.address;
  }

  /** Throws a DataDirectError. */
  async allocPd(): Promise<OpenPd> {
    const pd = await this.#opened.context.allocPd();
    if (pd instanceof Refusal) throw refusedBy(this.#opened.name, pd);
    return new OpenPd(this.#opened, pd);
  }

  async close(): Promise<void> {
    await this.#opened.context.close();
  }
}

/** How often a registration is made that falls into a change of driver. */
const ATTEMPTS = 3;

export class OpenPd {
  readonly #opened: Opened;
  readonly #pd: ProtectionDomain;

  constructor(opened: Opened, pd: ProtectionDomain) {
    this.#opened = opened;
    this.#pd = pd;
  }

  /** The kernel's handle, for verbs that are not offered here. */
  get handle(): number {
    return this.#pd.handle;
  }

  /**
   * Registers for data direct. Throws a RegistrationError for what cannot succeed as asked, a DataDirectError for what the kernel refused.
   * The region's `revoked` is aborted when its DMA function or its NIC loses the driver.
   */
  async register(asked: Registration): Promise<MemoryRegion> {
    const { watch, nic, name } = this.#opened;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const binding = await this.#binding();
      const region = await registerDmabuf(this.#pd, asked);
      if (region instanceof Refusal) {
        await watch.look();
        throw refusedBy(name, region);
      }
      if (binding && this.#isPresent(binding)) {
        void region.ended.then(watch.registry.hold(nic.id, region));
        return region;
      }
      // Made before or after the change? Nobody can tell, so it is not known whether it lives.
      await region.deregister();
    }
    const message = `the DMA function of ${name} changed its driver ${ATTEMPTS} times while a region was registered`;
    throw new DataDirectError('BINDING_UNSTABLE', message);
  }

  /** Throws a DataDirectError, EBUSY while it has memory regions. */
  async destroy(): Promise<void> {
    const answer = await this.#pd.destroy();
    if (!refused(answer)) return;
    const hint = answer.code === 'EBUSY' ? ': deregister its memory regions first' : '';
    const message = `PD_DESTROY on ${this.#opened.name} answered ${answer.code} (${answer.number})${hint}`;
    throw new DataDirectError('KERNEL_REFUSED', message, { call: 'PD_DESTROY', errno: answer });
  }

  /** The NIC's binding as it is now. */
  async #binding(): Promise<Binding | undefined> {
    const { watch, nic } = this.#opened;
    const last = watch.registry.bindingOf(nic.id);
    if (last && this.#isPresent(last)) return last;
    await watch.look();
    return watch.registry.bindingOf(nic.id);
  }

  /** Cheap: whether the drivers that the binding and the context were made with still hold their functions. */
  #isPresent(binding: Binding): boolean {
    const { host, nic, incarnation } = this.#opened;
    const dma = host.sysfs.identity(`bus/pci/devices/${binding.dma.address}/driver`);
    const own = nicIncarnation(host, nic);
    return dma === binding.dma.incarnation && own === binding.nic.incarnation && own === incarnation;
  }
}
