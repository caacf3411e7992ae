// What is wrong with a NIC just now. Faults are data: set while it runs, taken back by setting them to nothing.
import type { Capabilities } from './capabilities.ts';
import type { CommandName } from './opcodes.ts';

/** The command is answered with this status and syndrome, which the guest prints, or not until the fault is taken back (the driver waits for
    60 s, or commandTimeoutMs). */
export type CommandFault = { readonly status: number; readonly syndrome?: number } | 'no answer';

export interface Faults {
  readonly commands?: Partial<Record<CommandName, CommandFault>>;
  /** How long the firmware tells a driver that binds to wait for a command, in place of the driver's own 60 s. Up to 2^20 - 1. */
  readonly commandTimeoutMs?: number;
  /** What QUERY_VUID answers, one after the other and then the last for ever; an empty list = a NIC without entries. */
  readonly vuids?: readonly string[];
  /** Read by a driver when it binds: what differs from the NIC's own capabilities. */
  readonly capabilities?: Capabilities;
  readonly port?: 'down';
  /** The firmware has died: its health buffer reads all ones and no command is answered. */
  readonly dead?: boolean;
  /** What other queue pairs read and write goes through the other function's DMA domain than it should: a control experiment, which
      shows that it is the domain that moves the data. */
  readonly domainsExchanged?: boolean;
}
