// How the firmware refuses a command: in the command's output (enum MLX5_CMD_STAT_* of include/linux/mlx5/device.h) or, when it could
// not even be read, in its queue entry (enum MLX5_CMD_DELIVERY_STAT_* of mlx5/core/cmd.c).

export const STATUS = {
  BAD_OP: 0x02,
  BAD_PARAM: 0x03,
  BAD_RES: 0x05,
  LIMIT: 0x08,
  NO_RES: 0x0f,
  BAD_QP_STATE: 0x10,
  BAD_INP_LEN: 0x50,
  BAD_OUTP_LEN: 0x51,
} as const;
export type Status = keyof typeof STATUS;

export const DELIVERY = {
  SIGNATURE: 0x01,
  TOKEN: 0x02,
  BLOCK_NUMBER: 0x03,
  OUT_POINTER: 0x04,
  IN_POINTER: 0x05,
  IN_LENGTH: 0x07,
  OUT_LENGTH: 0x08,
  DESCRIPTOR: 0x10,
} as const;
export type Delivery = keyof typeof DELIVERY;

/** The driver prints status and syndrome of a failing command; the reason goes to our own log. */
export class CommandFailure extends Error {
  readonly status: number;
  readonly syndrome: number;

  constructor(status: Status | number, reason: string, syndrome = 0) {
    super(reason);
    this.status = typeof status === 'number' ? status : STATUS[status];
    this.syndrome = syndrome;
  }
}

/** The command never reached the firmware. */
export class DeliveryFailure extends Error {
  readonly delivery: Delivery;

  constructor(delivery: Delivery, reason: string) {
    super(reason);
    this.delivery = delivery;
  }
}
