// Keeps the registry (vuid.ts) true to the node: each look reads everything and tells the registry who came and who went. When to look is for
// whoever holds it; path/follow.ts knows when something happened.
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import type { Trigger } from '../path/follow.ts';
import { pathOfNic } from '../pci/nic.ts';
import { Observer } from '../path/observe.ts';
import type { DmaSeen, NicSeen, Snapshot } from '../path/snapshot.ts';
import type { Pairing } from './evidence.ts';
import { isBound, pair, vuidOf } from './evidence.ts';
import type { DmaFunctionEntry, NicEntry } from './vuid.ts';
import { BindingRegistry } from './vuid.ts';

export class BindingWatch {
  readonly registry = new BindingRegistry();
  readonly #host: Host;
  readonly #observer: Observer;
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: Host) {
    this.#host = host;
    this.#observer = new Observer(host);
  }

  /** One after the other, so that an older truth never overtakes a newer one. */
  look(trigger?: Trigger): Promise<Snapshot> {
    const look = this.#last.then(() => this.#look(trigger));
    this.#last = look.catch(() => undefined);
    return look;
  }

  async #look(trigger: Trigger | undefined): Promise<Snapshot> {
    // What pairs whom changes only with drivers, which are looked at each time, so a rescan need not open every NIC again.
    const reverify = trigger?.kind !== 'rescan' && trigger?.kind !== 'uevents';
    const snapshot = await this.#observer.observe({ verification: 'None', reverify, ...(trigger && { trigger }) });
    this.#enter(snapshot);
    return snapshot;
  }

  /** DMA functions before NICs: a NIC that the kernel no longer pairs lost its function and not its driver. */
  #enter(snapshot: Snapshot): void {
    const { registry } = this;
    const dmas = snapshot.dmas.flatMap((dma) => dmaEntry(dma) ?? []);
    const nics = pair(snapshot.nics, snapshot.dmas).flatMap((pairing) => this.#nicEntry(pairing) ?? []);
    for (const dma of dmas) registry.dmaCame(dma);
    for (const address of missing(registry.dmas, dmas)) registry.dmaWent(address);
    for (const nic of nics) registry.nicCame(nic);
    for (const address of missing(registry.nics, nics)) registry.nicWent(address);
  }

  /** The kernel's word counts, also where it is "none"; the firmware's only where the kernel could not be heard; the VPD's V3 is no VUID at all. */
  #nicEntry({ nic, dma, evidence }: Pairing): NicEntry | undefined {
    const incarnation = nicIncarnation(this.#host, nic);
    if (incarnation === undefined) return undefined;
    const entry = { address: nic.id, incarnation };
    if (evidence === 'KernelIoctl' && dma) return { ...entry, vuid: nameOf(dma), dma: dma.fn.address };
    const vuid = nic.kernel?.answer === undefined ? nic.firmware?.vuid : undefined;
    return vuid === undefined ? undefined : { ...entry, vuid, dma: undefined };
  }
}

function dmaEntry(dma: DmaSeen): DmaFunctionEntry | undefined {
  return isBound(dma) && dma.incarnation !== undefined
    ? { address: dma.fn.address, vuid: nameOf(dma), incarnation: dma.incarnation }
    : undefined;
}

/** The VPD is root's alone. Without it a function goes by its address, by which only the kernel can name it. */
function nameOf({ fn, vpd }: DmaSeen): string {
  return vuidOf(vpd) ?? fn.address;
}

/** As an open context lives: until the RDMA device goes. */
export function nicIncarnation({ sysfs }: Host, nic: NicSeen): string | undefined {
  const path = pathOfNic(nic);
  const { uverbs } = nic;
  const identity = sysfs.identity(uverbs === undefined ? `${path}/driver` : `${path}/infiniband_verbs/${uverbs}`);
  return refused(identity) ? undefined : identity;
}

function missing(known: readonly string[], present: readonly { readonly address: string }[]): string[] {
  const addresses = new Set(present.map(({ address }) => address));
  return known.filter((address) => !addresses.has(address));
}
