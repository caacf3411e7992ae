// Completion queues: rings that say which work is done, in kernel or user memory, with an event on request.
import { bits, dword, layout, type ValuesOf } from '../layout.ts';
import { DmaFault } from '../vfio-user/dma-map.ts';
import { EVENT, type EventQueue } from './event-queue.ts';
import type { Hardware } from './hardware.ts';
import { cqc, createCqIn } from './layouts.ts';
import { PagedBuffer, ringLength } from './paged-buffer.ts';

/** struct mlx5_cqe64 and struct mlx5_err_cqe (include/linux/mlx5/device.h). */
export const cqe = layout('mlx5_cqe64', 64, {
  /** With CQE version 1: the QP's user index. */
  srqn_uidx: bits(0x20, 23, 0),
  immediate: dword(0x24),
  byte_cnt: dword(0x2c),
  vendor_syndrome: bits(0x34, 15, 8),
  syndrome: bits(0x34, 7, 0),
  wqe_opcode: bits(0x38, 31, 24),
  qpn: bits(0x38, 23, 0),
  wqe_counter: bits(0x3c, 31, 16),
  opcode: bits(0x3c, 7, 4),
});
const SIZE = 64;
const OWNER = 63;

/** enum of CQE opcodes (MLX5_CQE_*). */
export const CQE = {
  REQUESTER: 0x0,
  RESPONDER_WRITE_IMMEDIATE: 0x1,
  RESPONDER_SEND: 0x2,
  RESPONDER_SEND_IMMEDIATE: 0x3,
  REQUESTER_ERROR: 0xd,
  RESPONDER_ERROR: 0xe,
} as const;

export type Completion = Partial<ValuesOf<typeof cqe>>;

export class CompletionQueue {
  readonly number: number;
  readonly #hardware: Hardware;
  readonly #events: EventQueue;
  readonly #onOverrun: (cqn: number) => void;
  readonly #logSize: number;
  readonly #entrySize: number;
  readonly #ring: PagedBuffer;
  readonly #doorbellRecord: bigint;
  #producer = 0;
  #armed = false;

  constructor(
    hardware: Hardware,
    number: number,
    command: Buffer,
    events: EventQueue,
    onOverrun: (cqn: number) => void,
  ) {
    const context = cqc.read(createCqIn.get(command, 'cq_context'));
    this.number = number;
    this.#hardware = hardware;
    this.#events = events;
    this.#onOverrun = onOverrun;
    this.#logSize = context.log_cq_size;
    this.#entrySize = context.cqe_sz === 1 ? 128 : SIZE;
    this.#doorbellRecord = context.dbr_addr;
    this.#ring = new PagedBuffer(hardware.dma, command, {
      logPageSize: context.log_page_size,
      pageOffset: context.page_offset,
      length: ringLength(context.log_cq_size, this.#entrySize),
    });
  }

  /** Which event queue tells of it. */
  get eventQueue(): number {
    return this.#events.number;
  }

  post(completion: Completion): void {
    try {
      if (this.#isFull()) this.#onOverrun(this.number);
      else this.#write(cqe.encode(completion));
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      this.#hardware.log(`completion queue ${this.number}: ${error.message}`);
      return;
    }
    if (this.#armed) this.#tell();
  }

  /** The driver asks to be told of the next completion after those that it has seen. */
  arm(consumer: number): void {
    this.#armed = true;
    if (((this.#producer - consumer) & 0xff_ffff) > 0) this.#tell();
  }

  #tell(): void {
    this.#armed = false;
    this.#events.post({ type: EVENT.COMPLETION, cqn: this.number });
  }

  /** The first dword of the doorbell record is the driver's consumer index, 24 bits. */
  #isFull(): boolean {
    const consumer = this.#hardware.dma.read(this.#doorbellRecord, 4).readUInt32BE();
    return ((this.#producer - consumer) & 0xff_ffff) >= 2 ** this.#logSize;
  }

  /** A wide entry has the completion in its second half. The owner bit comes last. */
  #write(entry: Buffer): void {
    const at = (this.#producer % 2 ** this.#logSize) * this.#entrySize + this.#entrySize - SIZE;
    this.#ring.write(at, entry.subarray(0, OWNER));
    const owner = (this.#producer >> this.#logSize) & 1;
    this.#ring.write(at + OWNER, Buffer.of((entry[OWNER] ?? 0) | owner));
    this.#producer += 1;
  }
}
