// Which DMA function serves which NIC: the two lists of drivers/infiniband/hw/mlx5/data_direct.c with their quirks. A DMA function may serve
// many NICs, a NIC has at most one; whichever side comes second binds. Of several DMA functions with one VUID a new NIC takes the first, a new
// function takes every NIC over, and when any of them leaves, the NICs of that VUID are left without one.
import type { PciFunction } from '../hardware.ts';

/** What a pair's end takes with it: each live data direct registration of that NIC. */
export interface Revocable {
  revoke(): void;
}

interface Nic {
  readonly vuid: string;
  dma: PciFunction | undefined;
  readonly registrations: Set<Revocable>;
}

export class DataDirect {
  readonly #dmaFunctions = new Map<PciFunction, string>();
  readonly #nics = new Map<PciFunction, Nic>();

  /** A DMA function was probed; `vuid` is the VU of its VPD at that time. */
  addDma(dma: PciFunction, vuid: string): void {
    this.#dmaFunctions.set(dma, vuid);
    for (const nic of this.#withVuid(vuid)) nic.dma = dma;
  }

  /** A DMA function was unbound: its pairs end and their live registrations are revoked, for good. */
  removeDma(dma: PciFunction): void {
    const vuid = this.#dmaFunctions.get(dma);
    this.#dmaFunctions.delete(dma);
    for (const nic of vuid === undefined ? [] : this.#withVuid(vuid)) {
      for (const registration of nic.registrations) registration.revoke();
      nic.registrations.clear();
      nic.dma = undefined;
    }
  }

  /** An RDMA device was made; `vuid` is what its firmware answered. */
  addNic(nic: PciFunction, vuid: string): void {
    const first = [...this.#dmaFunctions].find(([, candidate]) => sameVuid(vuid, candidate));
    this.#nics.set(nic, { vuid, dma: first?.[0], registrations: new Set() });
  }

  removeNic(nic: PciFunction): void {
    this.#nics.delete(nic);
  }

  dmaOf(nic: PciFunction): PciFunction | undefined {
    return this.#nics.get(nic)?.dma;
  }

  register(nic: PciFunction, registration: Revocable): void {
    this.#nics.get(nic)?.registrations.add(registration);
  }

  deregister(nic: PciFunction, registration: Revocable): void {
    this.#nics.get(nic)?.registrations.delete(registration);
  }

  #withVuid(vuid: string): Nic[] {
    return [...this.#nics.values()].filter((nic) => sameVuid(nic.vuid, vuid));
  }
}

/** strcmp on a firmware answer of 128 bytes: case and blanks count, and both end at their first NUL. */
function sameVuid(a: string, b: string): boolean {
  return untilNul(a.slice(0, 128)) === untilNul(b);
}

function untilNul(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
