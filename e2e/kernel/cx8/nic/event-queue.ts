// Event queues: rings through which the device tells the driver that something happened, with an interrupt each.
import { bits, dword, layout, type ValuesOf } from '../layout.ts';
import { DmaFault } from '../vfio-user/dma-map.ts';
import type { Hardware } from './hardware.ts';
import { createEqIn, eqc } from './layouts.ts';
import { PagedBuffer, ringLength } from './paged-buffer.ts';

/** struct mlx5_eqe (include/linux/mlx5/device.h). */
export const eqe = layout('mlx5_eqe', 64, {
  type: bits(0x00, 23, 16),
  sub_type: bits(0x00, 7, 0),
  /** Of a command event: its queue entries, a bit each. Of a CQ error: the CQ. */
  data: dword(0x20),
  /** Of a port event. */
  port: bits(0x28, 31, 28),
  /** Of a completion event. */
  cqn: dword(0x38),
});
const OWNER = 63;
const ENTRY = 64;

/** enum mlx5_event. */
export const EVENT = { COMPLETION: 0x00, CQ_ERROR: 0x04, PORT_CHANGE: 0x09, COMMAND: 0x0a } as const;
export const PORT_SUB_TYPE = { DOWN: 1, ACTIVE: 4 } as const;

type Event = Partial<ValuesOf<typeof eqe>>;

export class EventQueue {
  readonly number: number;
  readonly #hardware: Hardware;
  readonly #vector: number;
  readonly #mask: Buffer;
  readonly #logSize: number;
  readonly #ring: PagedBuffer;
  #producer = 0;
  #consumer = 0;

  constructor(hardware: Hardware, number: number, command: Buffer) {
    const { eq_context_entry, event_bitmask } = createEqIn.read(command);
    const context = eqc.read(eq_context_entry);
    this.number = number;
    this.#hardware = hardware;
    this.#vector = context.intr;
    this.#mask = Buffer.from(event_bitmask);
    this.#logSize = context.log_eq_size;
    this.#ring = new PagedBuffer(hardware.dma, command, {
      logPageSize: context.log_page_size,
      pageOffset: 0,
      length: ringLength(context.log_eq_size, ENTRY),
    });
  }

  /** The mask is four 64-bit words, type 0 in the lowest bit of the first. */
  wants(type: number): boolean {
    const word = this.#mask.readBigUInt64BE((type >> 6) * 8);
    return ((word >> BigInt(type & 63)) & 1n) === 1n;
  }

  /** An entry that does not fit is lost, as it would be in hardware. */
  post(event: Event): void {
    if (this.#producer - this.#consumer >= 1 << this.#logSize) {
      this.#hardware.log(`event queue ${this.number} is full: an event of type ${event.type} is lost`);
      return;
    }
    try {
      this.#write(eqe.encode(event));
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      this.#hardware.log(`event queue ${this.number}: ${error.message}`);
      return;
    }
    this.#hardware.interrupt(this.#vector);
  }

  /** The owner bit makes the entry the driver's, so it comes last. */
  #write(entry: Buffer): void {
    const at = (this.#producer % (1 << this.#logSize)) * ENTRY;
    this.#ring.write(at, entry.subarray(0, OWNER));
    this.#ring.write(at + OWNER, Buffer.of((this.#producer >> this.#logSize) & 1));
    this.#producer += 1;
  }

  /** Told by the driver, 24 bits of it. */
  consumed(index: number, arm: boolean): void {
    const behind = (this.#producer - index) & 0xff_ffff;
    this.#consumer = this.#producer - behind;
    if (arm && behind > 0) this.#hardware.interrupt(this.#vector);
  }
}
