// Which functions' DMA domains data went through: what a test asks to know that a region was reached by the 15b3:2100 function.

export interface Moved {
  read: number;
  written: number;
}

export class Traffic {
  readonly #byDomain = new Map<string, Moved>();

  count(domain: string, direction: keyof Moved, bytes: number): void {
    const moved = this.#byDomain.get(domain) ?? { read: 0, written: 0 };
    moved[direction] += bytes;
    this.#byDomain.set(domain, moved);
  }

  report(): Record<string, Moved> {
    return Object.fromEntries(this.#byDomain);
  }
}
