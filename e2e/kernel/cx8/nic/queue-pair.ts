// Queue pairs: what the driver set up, the state they are in and how far their two rings have been worked off.
import type { Hardware } from './hardware.ts';
import { ads, createQpIn, modifyQpIn, qpc } from './layouts.ts';
import type { CommandName } from './opcodes.ts';
import { PagedBuffer, ringLength } from './paged-buffer.ts';
import { CommandFailure } from './status.ts';

/** MLX5_QPC_STATE_*. */
export const QP_STATE = { RST: 0, INIT: 1, RTR: 2, RTS: 3, ERR: 6 } as const;
/** MLX5_QP_ST_*: those that carry out work here; work of the others completes and has no effect. */
export const SERVICE = { RC: 0x0, UC: 0x1, UMR: 0xc } as const;

type Fields = readonly (keyof ReturnType<typeof qpc.read>)[];
interface Transition {
  readonly from: readonly number[] | 'any';
  readonly to: number;
  readonly takes: Fields;
}

const { RST, INIT, RTR, RTS, ERR } = QP_STATE;
/** Remote access rights are taken at any later transition too, where the driver says that it gives them. */
export const TRANSITIONS = {
  RST2INIT_QP: { from: [RST], to: INIT, takes: ['rre', 'rwe'] },
  INIT2INIT_QP: { from: [INIT], to: INIT, takes: [] },
  INIT2RTR_QP: { from: [INIT], to: RTR, takes: ['remote_qpn', 'primary_address_path'] },
  RTR2RTS_QP: { from: [RTR], to: RTS, takes: ['rnr_retry'] },
  RTS2RTS_QP: { from: [RTS], to: RTS, takes: [] },
  '2ERR_QP': { from: 'any', to: ERR, takes: [] },
  '2RST_QP': { from: 'any', to: RST, takes: [] },
} satisfies Partial<Record<CommandName, Transition>>;
export type TransitionName = keyof typeof TRANSITIONS;

/** enum mlx5_qp_optpar (include/linux/mlx5/qp.h). */
export const OPTIONAL: readonly { readonly bit: number; readonly field: 'rre' | 'rwe' }[] = [
  { bit: 1 << 1, field: 'rre' },
  { bit: 1 << 3, field: 'rwe' },
];

/** Rings are counted in blocks of 64 bytes. */
export const SEND_BLOCK = 64;
/** rq_type of a queue pair with a receive ring of its own. */
const OWN_RECEIVE_RING = 0;
/** Where the doorbell record has them. */
export const RECEIVE_COUNTER = 0n;
export const SEND_COUNTER = 4n;

export class QueuePair {
  readonly number: number;
  readonly #hardware: Hardware;
  readonly #context: Buffer;
  readonly #ring: PagedBuffer;
  readonly #receiveBytes: number;
  readonly #sendBytes: number;
  readonly receiveStride: number;
  /** Of the next entry to be worked off, 16 bits. */
  sent = 0;
  received = 0;
  /** Since when the other end has had no receive posted. */
  waitingSince: number | undefined;
  /** It is due to be worked off again shortly. */
  looksAgain = false;

  constructor(hardware: Hardware, number: number, command: Buffer) {
    this.number = number;
    this.#hardware = hardware;
    this.#context = Buffer.from(createQpIn.get(command, 'qpc'));
    qpc.write(this.#context, { state: RST });
    const context = qpc.read(this.#context);
    this.receiveStride = 16 << context.log_rq_stride;
    this.#receiveBytes = context.rq_type === OWN_RECEIVE_RING ? this.receiveStride << context.log_rq_size : 0;
    this.#sendBytes = context.no_sq === 1 ? 0 : ringLength(context.log_sq_size, SEND_BLOCK);
    this.#ring = new PagedBuffer(hardware.dma, command, {
      logPageSize: context.log_page_size,
      pageOffset: context.page_offset,
      length: this.#receiveBytes + this.#sendBytes,
    });
  }

  get context(): ReturnType<typeof qpc.read> {
    return qpc.read(this.#context);
  }

  get contextBytes(): Buffer {
    return this.#context;
  }

  get state(): number {
    return qpc.get(this.#context, 'state');
  }

  /** LID of the other end. */
  get remoteLid(): number {
    return ads.get(qpc.get(this.#context, 'primary_address_path'), 'rlid');
  }

  modify(name: TransitionName, command: Buffer): void {
    const { from, to, takes }: Transition = TRANSITIONS[name];
    if (from !== 'any' && !from.includes(this.state)) {
      throw new CommandFailure('BAD_QP_STATE', `${name} of QP ${this.number} in state ${this.state}`);
    }
    if (command.length >= modifyQpIn.size) this.#take(takes, command);
    qpc.write(this.#context, { state: to });
    if (to === RST) {
      this.sent = 0;
      this.received = 0;
      this.waitingSince = undefined;
    }
  }

  fail(): void {
    qpc.write(this.#context, { state: ERR });
  }

  #take(fields: Fields, command: Buffer): void {
    const given = qpc.read(modifyQpIn.get(command, 'qpc'));
    const mask = modifyQpIn.get(command, 'opt_param_mask');
    const optional = OPTIONAL.filter(({ bit }) => (mask & bit) !== 0).map(({ field }) => field);
    for (const field of [...fields, ...optional]) qpc.write(this.#context, { [field]: given[field] });
  }

  /** Blocks that the driver has posted and that are not worked off. RangeError when its counter says more than the ring holds. */
  sendsPosted(): number {
    return this.#posted(SEND_COUNTER, this.sent, this.#sendBytes / SEND_BLOCK);
  }

  /** Entries, of which every one is a stride long. */
  receivesPosted(): number {
    if (this.#receiveBytes === 0) return 0;
    return this.#posted(RECEIVE_COUNTER, this.received, this.#receiveBytes / this.receiveStride);
  }

  /** `length` bytes of the send ring from the next entry on. */
  readSend(length: number): Buffer {
    const at = (this.sent * SEND_BLOCK) % this.#sendBytes;
    const first = Math.min(length, this.#sendBytes - at);
    const head = this.#ring.read(this.#receiveBytes + at, first);
    return first === length ? head : Buffer.concat([head, this.#ring.read(this.#receiveBytes, length - first)]);
  }

  readReceive(): Buffer {
    return this.#ring.read((this.received * this.receiveStride) % this.#receiveBytes, this.receiveStride);
  }

  #posted(counter: bigint, workedOff: number, room: number): number {
    const value = this.#hardware.dma.read(this.context.dbr_addr + counter, 4).readUInt32BE() & 0xffff;
    const posted = (value - workedOff) & 0xffff;
    if (posted > room) throw new RangeError(`its counter says that ${posted} are posted to a ring of ${room}`);
    return posted;
  }
}
