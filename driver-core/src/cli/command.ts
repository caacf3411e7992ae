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
export const EXIT = { done: 0, failed: 1, misused: 2, notReady: 100, interrupted: 130 } as const;

/** An option of one command. --from and --help are everybody's. */
export interface Option {
  readonly type: 'boolean' | 'string';
  readonly does: string;
}

/** What was given; an option that was not is undefined. */
export type Given = Readonly<Record<string, string | boolean | undefined>>;

export interface Invocation {
  readonly host: Host;
  readonly given: Given;
  /** Whom it is about, for commands that can be told. */
  readonly operands: readonly string[];
  readonly terminal: Terminal;
  /** The user wants it to end. */
  readonly signal: AbortSignal;
}

export interface Command {
  readonly name: string;
  readonly does: string;
  /** What may follow the command's name, as usage shows it; nothing may where it is left out. */
  readonly operands?: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Until it is interrupted; the others end by themselves. */
  readonly lasts?: true;
  readonly run: (invocation: Invocation) => Promise<number>;
}

export const JSON_OPTION: Readonly<Record<'json', Option>> = { json: { type: 'boolean', does: 'for programs' } };
