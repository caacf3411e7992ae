// What a command can see and change.
import type { Hardware } from './hardware.ts';
import type { Capabilities } from './capabilities.ts';
import type { Faults } from './faults.ts';
import type { Identity } from './identity.ts';
import type { Resources } from './resources.ts';
import type { Work } from './work.ts';

export interface Firmware {
  readonly hardware: Hardware;
  readonly identity: Identity;
  /** Its own, with those of the faults on top. */
  readonly capabilities: Capabilities;
  readonly faults: Faults;
  readonly resources: Resources;
  readonly work: Work;
  /** Forgets everything that a driver has made. */
  restart(): void;
  /** The answer to the next QUERY_VUID: undefined when there is none. */
  nextVuid(): string | undefined;
}

export type Handler = (firmware: Firmware, input: Buffer, output: Buffer) => void;

export interface CommandRow {
  /** Lengths that the command must have at least; a header if not given. */
  readonly input?: { readonly size: number };
  readonly output?: { readonly size: number };
  readonly run: Handler;
}
