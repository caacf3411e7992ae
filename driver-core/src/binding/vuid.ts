// Which NIC is bound to which DMA function, while both come and go: the same VUID binds, and who holds something on a binding is told when it
// ends. What drivers/infiniband/hw/mlx5/data_direct.c does in the kernel, seen from outside; where the VUIDs come from: watch.ts.

/** strcmp, as the kernel compares: case and blanks count, and both texts end at their first NUL. */
export function sameVuid(a: string | undefined, b: string): boolean {
  return a !== undefined && untilNul(a) === untilNul(b);
}

function untilNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** A DMA function that has its driver. */
export interface DmaFunctionEntry {
  /** PCI address. */
  readonly address: string;
  readonly vuid: string;
  /** Another one each time a driver takes the function: what was registered through an earlier one is gone. */
  readonly incarnation: string;
}

/** A NIC with an RDMA device. */
export interface NicEntry {
  /** PCI address; of an SF its PF's and its number: 0000:03:00.0/sf88. */
  readonly address: string;
  readonly vuid: string;
  /** Another one each time the RDMA device is made. */
  readonly incarnation: string;
  /** The function that the kernel named, if it did: the one that counts should several have the VUID. */
  readonly dma: string | undefined;
}

export interface Binding {
  readonly nic: NicEntry;
  readonly dma: DmaFunctionEntry;
}

export interface BindingEvent {
  readonly kind: 'bound' | 'unbound';
  /** PCI addresses; an SF has its number behind that of its PF. */
  readonly nic: string;
  readonly dma: string;
}

/** What dies with a binding: a data direct registration of the NIC. */
export interface Revocable {
  revoke(reason: Error): void;
}

export class Unbound extends Error {
  readonly code = 'DMA_FUNCTION_UNBOUND';
  constructor({ nic, dma }: Binding, which: 'nic' | 'dma') {
    const who = which === 'nic' ? `NIC ${nic.address}` : `DMA function ${dma.address} of NIC ${nic.address}`;
    super(`${who} lost its driver: what was registered through it is revoked; register again`);
    this.name = 'Unbound';
  }
}

/** The state depends on who is there, never on the order in which they came. */
export class BindingRegistry {
  readonly #dmas = new Map<string, DmaFunctionEntry>();
  readonly #nics = new Map<string, NicEntry>();
  readonly #bindings = new Map<string, Binding>();
  readonly #registrations = new Map<string, Set<Revocable>>();
  readonly #listeners = new Set<(event: BindingEvent) => void>();

  /** It came, or something about it changed. */
  dmaCame(dma: DmaFunctionEntry): void {
    this.#dmas.set(dma.address, dma);
    this.#settle();
  }

  dmaWent(address: string): void {
    this.#dmas.delete(address);
    this.#settle();
  }

  nicCame(nic: NicEntry): void {
    this.#nics.set(nic.address, nic);
    this.#settle();
  }

  nicWent(address: string): void {
    this.#nics.delete(address);
    this.#settle();
  }

  get dmas(): string[] {
    return [...this.#dmas.keys()];
  }

  get nics(): string[] {
    return [...this.#nics.keys()];
  }

  bindingOf(nic: string): Binding | undefined {
    return this.#bindings.get(nic);
  }

  /** The registration was made on the NIC's present binding: it is revoked when that ends. Ends the other way by the function returned. */
  hold(nic: string, registration: Revocable): () => void {
    const held = this.#registrations.get(nic) ?? new Set();
    this.#registrations.set(nic, held.add(registration));
    return () => void held.delete(registration);
  }

  /** Told of every binding from now on, until the function returned is called. A listener must not throw. */
  watch(listener: (event: BindingEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #settle(): void {
    for (const nic of new Set([...this.#bindings.keys(), ...this.#nics.keys()])) {
      const before = this.#bindings.get(nic);
      const now = this.#bind(this.#nics.get(nic));
      if (isSame(before, now)) continue;
      if (before) this.#end(before);
      if (now) this.#begin(now);
    }
  }

  #bind(nic: NicEntry | undefined): Binding | undefined {
    if (!nic) return undefined;
    const fitting = [...this.#dmas.values()].filter(({ vuid }) => sameVuid(vuid, nic.vuid));
    const dma = fitting.length > 1 ? fitting.find(({ address }) => address === nic.dma) : fitting[0];
    return dma && { nic, dma };
  }

  /** Registrations first: whoever is told finds them revoked already. */
  #end(binding: Binding): void {
    const nic = binding.nic.address;
    this.#bindings.delete(nic);
    const held = this.#registrations.get(nic);
    this.#registrations.delete(nic);
    const which = this.#dmas.get(binding.dma.address)?.incarnation === binding.dma.incarnation ? 'nic' : 'dma';
    for (const registration of held ?? []) registration.revoke(new Unbound(binding, which));
    this.#tell({ kind: 'unbound', nic, dma: binding.dma.address });
  }

  #begin(binding: Binding): void {
    this.#bindings.set(binding.nic.address, binding);
    this.#tell({ kind: 'bound', nic: binding.nic.address, dma: binding.dma.address });
  }

  #tell(event: BindingEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** A binding of the same two functions is another one where either was away in between. */
function isSame(a: Binding | undefined, b: Binding | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.dma.address === b.dma.address &&
    a.dma.incarnation === b.dma.incarnation &&
    a.nic.incarnation === b.nic.incarnation
  );
}
