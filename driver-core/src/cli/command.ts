// What a command of `data-direct` is.
import type { styleText } from 'node:util';

import type { Host } from '../host/host.ts';

export interface Terminal {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Colours where the reader can see them; the text itself elsewhere. */
  readonly paint: (format: Parameters<typeof styleText>[0], text: string) => string;
}

/** Exit codes. 1 and 2 are for every command; 100 is what rdma_topo check says too. */
export const EXIT = { done: 0, failed: 1, misused: 2, notReady: 100 } as const;

export interface Command {
  readonly name: string;
  readonly does: string;
  readonly json: boolean;
  readonly run: (host: Host, options: { readonly json: boolean }, terminal: Terminal) => Promise<number>;
}
