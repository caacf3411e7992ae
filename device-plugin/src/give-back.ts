// Gives memory back after work. Node 24 collects the garbage of a burst only when the next one needs room: after 30 000 allocations an idle
// agent kept 30 MiB that nobody used (docs/benchmarks.md). Needs --expose-gc, which the chart gives; without it nothing happens.

/** Work that comes sooner than this after the last is the same burst. */
const QUIET_MS = 5000;
/** Less is not worth a collection, which takes some 10 ms. */
const WORTH_IT = 100;

export class GiveBack {
  readonly #collect: (() => void) | undefined;
  #work = 0;
  #quiet: NodeJS.Timeout | undefined;

  /** Starting is work, too: what was read once is garbage by now. */
  constructor(collect: (() => void) | undefined = globalThis.gc && ((): void => void globalThis.gc?.())) {
    this.#collect = collect;
    this.worked(WORTH_IT);
  }

  readonly worked = (amount = 1): void => {
    this.#work += amount;
    if (this.#collect === undefined || this.#work < WORTH_IT) return;
    if (this.#quiet) this.#quiet.refresh();
    else this.#quiet = setTimeout(this.#now, QUIET_MS).unref();
  };

  readonly #now = (): void => {
    this.#quiet = undefined;
    this.#work = 0;
    this.#collect?.();
  };
}
