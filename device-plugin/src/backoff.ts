// How long to wait before another try: longer each time, with jitter so that the plug-ins of a node (and nodes of a cluster) do not march in step.

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** 2 where nothing is said. */
  readonly factor?: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#next = options.firstMs;
  }

  /** Milliseconds to wait now; the following answer is longer by the factor. */
  delay(): number {
    const delay = this.#next * (0.5 + Math.random() / 2);
    this.#next = Math.min(this.#next * (this.#options.factor ?? 2), this.#options.maxMs);
    return delay;
  }

  reset(): void {
    this.#next = this.#options.firstMs;
  }
}
