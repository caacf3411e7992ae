// User access regions: pages of BAR0 in which the driver, or a program that has one mapped, rings for its queues.
import type { Resources } from './resources.ts';
import type { Work } from './work.ts';

/** Offsets in a page (include/linux/mlx5/cq.h, qp.h and mlx5/core/eq.c). */
export const CQ_ARM = 0x20;
const EQ_ARM = 0x40;
const EQ_UPDATE = 0x48;
/** Send doorbells: a register every 256 bytes, as log_bf_reg_size 9 says. A copied entry, which we do not offer, would fill the rest. */
export const SEND = 0x800;
const SEND_STEP = 0x100;

export class Doorbells {
  readonly #resources: Resources;
  readonly #work: Work;
  /** A doorbell of 8 bytes may come as two halves. */
  #firstHalf: { offset: number; data: Buffer } | undefined;

  constructor(resources: Resources, work: Work) {
    this.#resources = resources;
    this.#work = work;
  }

  /** `offset` is that in the page. */
  write(page: number, offset: number, data: Buffer): void {
    if (offset === EQ_ARM || offset === EQ_UPDATE) {
      if (data.length >= 4) this.#consumed(data.readUInt32BE(), offset === EQ_ARM);
      return;
    }
    const whole = this.#whole(page * 0x1000 + offset, data);
    if (whole === undefined) return;
    const register = offset - (offset % 8);
    if (register === CQ_ARM)
      this.#resources.cqs.get(whole.readUInt32BE(4) & 0xff_ffff)?.arm(whole.readUInt32BE(0) & 0xff_ffff);
    if (register >= SEND && register % SEND_STEP === 0) this.#send(whole.readUInt32BE(4) >>> 8);
  }

  #consumed(value: number, arm: boolean): void {
    this.#resources.eqs.get(value >>> 24)?.consumed(value & 0xff_ffff, arm);
  }

  #send(qpn: number): void {
    const qp = this.#resources.qps.get(qpn);
    if (qp !== undefined) this.#work.ring(qp);
  }

  /** The eight bytes of a register once both halves are there. */
  #whole(offset: number, data: Buffer): Buffer | undefined {
    if (data.length === 8) return data;
    if (data.length !== 4) return undefined;
    const first = this.#firstHalf;
    this.#firstHalf = undefined;
    if (offset % 8 === 0) this.#firstHalf = { offset, data: Buffer.from(data) };
    else if (first?.offset === offset - 4) return Buffer.concat([first.data, data]);
    return undefined;
  }
}
