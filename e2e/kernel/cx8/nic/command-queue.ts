// The command queue: entries of 64 bytes in host memory, rung by a bit mask; longer input and output in chains of mailboxes (struct
// mlx5_cmd_layout and struct mlx5_cmd_prot_block of include/linux/mlx5/device.h).
import { bits, dword, layout, octets, qword } from '../layout.ts';
import { type DmaMap, DmaFault } from '../vfio-user/dma-map.ts';
import { DELIVERY, DeliveryFailure } from './status.ts';

export const LOG_ENTRIES = 5;
export const LOG_STRIDE = 6;

const ENTRY = 1 << LOG_STRIDE;
export const entryLayout = layout('mlx5_cmd_layout', ENTRY, {
  type: bits(0x00, 31, 24),
  inlen: dword(0x04),
  in_ptr: qword(0x08),
  in: octets(0x10, 16),
  out: octets(0x20, 16),
  out_ptr: qword(0x30),
  outlen: dword(0x38),
  token: bits(0x3c, 31, 24),
  status_own: bits(0x3c, 7, 0),
});
export const PCI_COMMAND = 7;
const OWNED_BY_DEVICE = 1;
const STATUS_OWN = 63;
const SIGNATURE = 61;

const DATA = 512;
export const mailboxLayout = layout('mlx5_cmd_prot_block', 576, {
  data: octets(0x00, DATA),
  next: qword(0x230),
  block_num: dword(0x238),
  token: bits(0x23c, 23, 16),
});
/** Mailboxes lie on 1 KiB borders (MLX5_CMD_MBOX_SIZE). */
const ALIGNMENT = 1024n;
const INLINE = 16;
/** The longest that the drivers send is a page list of a few hundred KiB. */
const longest = 16 * 1024 * 1024;

type Entry = ReturnType<typeof entryLayout.read>;

/** Carries a command out; 'no answer' leaves its entry with the device for ever. */
export type Execute = (input: Buffer, output: Buffer) => 'answered' | 'no answer';

export class CommandQueue {
  readonly #dma: DmaMap;
  readonly #execute: Execute;
  readonly #log: (line: string) => void;

  constructor(dma: DmaMap, execute: Execute, log: (line: string) => void) {
    this.#dma = dma;
    this.#execute = execute;
    this.#log = log;
  }

  /** Those entries of the mask that are now completed, and those that time did not suffice for. One is always done. */
  ring(queue: bigint, mask: number, isTimeOver: () => boolean): { completed: number; left: number } {
    let completed = 0;
    let left = mask;
    for (let index = 0; index < 1 << LOG_ENTRIES && left !== 0; index += 1) {
      const bit = (1 << index) >>> 0;
      if ((left & bit) === 0) continue;
      left = (left & ~bit) >>> 0;
      if (this.#process(queue + BigInt(index * ENTRY))) completed |= bit;
      if (isTimeOver()) break;
    }
    return { completed: completed >>> 0, left };
  }

  #process(address: bigint): boolean {
    try {
      return this.#processEntry(address);
    } catch (error) {
      // The entry itself is not in memory that we can reach: there is nowhere to answer to.
      if (!(error instanceof DmaFault)) throw error;
      this.#log(`a command at 0x${address.toString(16)} cannot be read: ${error.message}`);
      return false;
    }
  }

  #processEntry(address: bigint): boolean {
    const bytes = this.#dma.read(address, ENTRY);
    const entry = entryLayout.read(bytes);
    if ((entry.status_own & OWNED_BY_DEVICE) === 0) return false;
    let delivery = 0;
    try {
      if (!this.#deliver(address, bytes, entry)) return false;
    } catch (error) {
      if (!(error instanceof DeliveryFailure)) throw error;
      delivery = DELIVERY[error.delivery];
      this.#log(`a command could not be delivered (${error.delivery}): ${error.message}`);
    }
    // Status is in bits 7:1; the owner bit goes back to the driver with it, last of all.
    this.#dma.write(address + BigInt(STATUS_OWN), Buffer.of(delivery << 1));
    return true;
  }

  #deliver(address: bigint, bytes: Buffer, entry: Entry): boolean {
    if (entry.type !== PCI_COMMAND) throw new DeliveryFailure('DESCRIPTOR', `entry of type ${entry.type}`);
    if (bytes.reduce((sum, byte) => sum ^ byte, 0) !== 0xff) {
      throw new DeliveryFailure('SIGNATURE', `signature 0x${bytes[SIGNATURE]?.toString(16)} does not fit the entry`);
    }
    if (entry.inlen < 8 || entry.inlen > longest)
      throw new DeliveryFailure('IN_LENGTH', `input of ${entry.inlen} bytes`);
    if (entry.outlen < 8 || entry.outlen > longest)
      throw new DeliveryFailure('OUT_LENGTH', `output of ${entry.outlen} bytes`);
    const input = this.#input(entry);
    const places = this.#outputPlaces(address, entry);
    const output = Buffer.alloc(entry.outlen);
    if (this.#execute(input, output) === 'no answer') return false;
    let at = 0;
    for (const place of places) {
      this.#dma.write(place.address, output.subarray(at, at + place.length));
      at += place.length;
    }
    return true;
  }

  #input(entry: Entry): Buffer {
    const rest = this.#mailboxes(entry.in_ptr, entry.inlen - INLINE, entry.token, 'IN_POINTER');
    const data = rest.map(({ address, length }) => this.#dma.read(address, length));
    return Buffer.concat([entry.in.subarray(0, Math.min(INLINE, entry.inlen)), ...data]);
  }

  #outputPlaces(address: bigint, entry: Entry): Place[] {
    const inline = { address: address + 0x20n, length: Math.min(INLINE, entry.outlen) };
    return [inline, ...this.#mailboxes(entry.out_ptr, entry.outlen - INLINE, entry.token, 'OUT_POINTER')];
  }

  /** Where `length` bytes lie that begin in the mailbox at `first`. */
  #mailboxes(first: bigint, length: number, token: number, fault: 'IN_POINTER' | 'OUT_POINTER'): Place[] {
    const places: Place[] = [];
    let pointer = first;
    for (let left = length; left > 0; left -= DATA) {
      if (pointer % ALIGNMENT !== 0n) throw new DeliveryFailure(fault, `mailbox at 0x${pointer.toString(16)}`);
      const box = this.#mailbox(pointer, fault);
      if (box.block_num !== places.length) {
        throw new DeliveryFailure('BLOCK_NUMBER', `mailbox ${places.length} of the chain has number ${box.block_num}`);
      }
      if (box.token !== token)
        throw new DeliveryFailure('TOKEN', `token ${box.token} in a mailbox, ${token} in the entry`);
      places.push({ address: pointer, length: Math.min(left, DATA) });
      pointer = box.next;
    }
    return places;
  }

  #mailbox(pointer: bigint, fault: 'IN_POINTER' | 'OUT_POINTER'): ReturnType<typeof mailboxLayout.read> {
    try {
      return mailboxLayout.read(this.#dma.read(pointer, mailboxLayout.size));
    } catch (error) {
      if (!(error instanceof DmaFault)) throw error;
      throw new DeliveryFailure(fault, error.message);
    }
  }
}

interface Place {
  readonly address: bigint;
  readonly length: number;
}
