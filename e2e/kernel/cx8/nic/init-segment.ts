// The initialization segment at the start of BAR0: versions, where the command queue is, its doorbell, health (struct mlx5_init_seg of
// include/linux/mlx5/device.h).
import { bits, dword, layout } from '../layout.ts';
import { LOG_ENTRIES, LOG_STRIDE } from './command-queue.ts';
import type { Faults } from './faults.ts';

const SIZE = 0x1014;
export const segment = layout('mlx5_init_seg', SIZE, {
  fw_rev_minor: bits(0x000, 31, 16),
  fw_rev_major: bits(0x000, 15, 0),
  cmd_interface_rev: bits(0x004, 31, 16),
  fw_rev_subminor: bits(0x004, 15, 0),
  cmdq_phy_addr_63_32: dword(0x010),
  cmdq_phy_addr_31_0: dword(0x014),
  log_cmdq_size: bits(0x014, 7, 4),
  log_cmdq_stride: bits(0x014, 3, 0),
  health_fw_ver: dword(0x230),
  cmd_exec_to: dword(0xff8),
  cmd_q_init_to: dword(0xffc),
  internal_timer_h: dword(0x1000),
  internal_timer_l: dword(0x1004),
  health_counter: bits(0x1010, 23, 0),
});
const QUEUE_HIGH = 0x010;
const QUEUE_LOW = 0x014;
const DOORBELL = 0x018;
/** Five is the only revision that the drivers know. */
const COMMAND_INTERFACE = 5;
/** As a ConnectX-8 of 2025 shows it: 40.44.208. */
const FIRMWARE = { fw_rev_major: 40, fw_rev_minor: 44, fw_rev_subminor: 208 };
/** How long the driver shall wait for the firmware to come up: its own default. Zero would mean that there are no timeouts here. */
const INITIALIZATION_MS = 2000;
/** The driver looks every two seconds and calls three equal values dead. */
const HEALTH_TICK_MS = 10;

export class InitSegment {
  readonly size = SIZE;
  readonly #bytes = Buffer.alloc(SIZE);
  readonly #now: () => number;
  readonly #faults: () => Pick<Faults, 'dead' | 'commandTimeoutMs'>;
  readonly #ring: (queue: bigint, mask: number) => void;

  constructor(
    now: () => number,
    faults: () => Pick<Faults, 'dead' | 'commandTimeoutMs'>,
    ring: (queue: bigint, mask: number) => void,
  ) {
    this.#now = now;
    this.#faults = faults;
    this.#ring = ring;
    this.reset();
  }

  reset(): void {
    this.#bytes.fill(0);
    segment.write(this.#bytes, {
      ...FIRMWARE,
      cmd_interface_rev: COMMAND_INTERFACE,
      log_cmdq_size: LOG_ENTRIES,
      log_cmdq_stride: LOG_STRIDE,
    });
  }

  read(offset: number, length: number): Buffer {
    const { dead, commandTimeoutMs } = this.#faults();
    const microseconds = BigInt(Math.floor(this.#now() * 1000));
    segment.write(this.#bytes, {
      internal_timer_h: Number((microseconds >> 32n) & 0xffff_ffffn),
      internal_timer_l: Number(microseconds & 0xffff_ffffn),
      health_counter: Math.floor(this.#now() / HEALTH_TICK_MS) & 0xff_ffff,
      health_fw_ver: dead === true ? 0xffff_ffff : 0,
      cmd_q_init_to: commandTimeoutMs === undefined ? 0 : INITIALIZATION_MS,
      cmd_exec_to: commandTimeoutMs ?? 0,
    });
    return Buffer.from(this.#bytes.subarray(offset, offset + length));
  }

  /** The queue's address shares its low dword with the queue's shape, which stays readable. */
  write(offset: number, data: Buffer): void {
    if (data.length !== 4) return;
    const value = data.readUInt32BE();
    if (offset === QUEUE_HIGH) segment.write(this.#bytes, { cmdq_phy_addr_63_32: value });
    if (offset === QUEUE_LOW)
      segment.write(this.#bytes, { cmdq_phy_addr_31_0: ((value & ~0xff) | (LOG_ENTRIES << 4) | LOG_STRIDE) >>> 0 });
    if (offset === DOORBELL) this.#ring(this.#queue(), value);
  }

  #queue(): bigint {
    const { cmdq_phy_addr_63_32, cmdq_phy_addr_31_0 } = segment.read(this.#bytes);
    return ((BigInt(cmdq_phy_addr_63_32) << 32n) | BigInt(cmdq_phy_addr_31_0)) & ~0xfffn;
  }
}
