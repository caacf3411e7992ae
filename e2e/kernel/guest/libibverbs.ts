// Debian's libibverbs with the device's own provider in the guest, as far as a queue pair needs it that talks to itself. Posting and polling are
// pointers in a context, so they are called as pointers. Layouts: infiniband/verbs.h of rdma-core 56 on 64-bit Linux.

import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { type Field, u16, u32, u64, u8 } from '../../../driver-core/src/verbs/struct.ts';

type Pointer = bigint;
type Fields = Readonly<Record<string, readonly [offset: number, type: Field<number> | Field<bigint>]>>;
type Values<F extends Fields> = { readonly [K in keyof F]?: F[K][1] extends Field<bigint> ? bigint : number };

/** A structure of which only some fields are named: the rest is zero, or not read. */
function placed<const F extends Fields>(size: number, fields: F) {
  return {
    size,
    encode(values: Values<F>): Buffer {
      const bytes = Buffer.alloc(size);
      for (const [name, [offset, type]] of Object.entries(fields)) {
        const value = values[name];
        if (value !== undefined) (type as Field<number | bigint>).write(bytes, offset, value);
      }
      return bytes;
    },
    read<K extends keyof F>(at: Pointer, name: K): F[K][1]['zero'] {
      const [offset, type] = fields[name] as F[K];
      return type.read(Buffer.from(koffi.view(at + BigInt(offset), type.size)), 0);
    },
  };
}

const ibv_context = placed(272, { poll_cq: [96, u64], post_send: [208, u64], cmd_fd: [264, u32] });
const ibv_pd = placed(16, { handle: [8, u32] });
const ibv_mr = placed(48, { lkey: [36, u32], rkey: [40, u32] });
const ibv_qp = placed(56, { qp_num: [52, u32] });
const ibv_qp_init_attr = placed(64, {
  send_cq: [8, u64],
  recv_cq: [16, u64],
  max_send_wr: [32, u32],
  max_recv_wr: [36, u32],
  max_send_sge: [40, u32],
  max_recv_sge: [44, u32],
  qp_type: [52, u32],
});
const ibv_qp_attr = placed(144, {
  qp_state: [0, u32],
  path_mtu: [8, u32],
  dest_qp_num: [28, u32],
  qp_access_flags: [32, u32],
  dgid_begin: [56, u64],
  dgid_end: [64, u64],
  hop_limit: [77, u8],
  dlid: [80, u16],
  is_global: [85, u8],
  ah_port_num: [86, u8],
  max_rd_atomic: [126, u8],
  max_dest_rd_atomic: [127, u8],
  min_rnr_timer: [128, u8],
  port_num: [129, u8],
  timeout: [130, u8],
  retry_cnt: [131, u8],
  rnr_retry: [132, u8],
});
const ibv_send_wr = placed(128, {
  sg_list: [16, u64],
  num_sge: [24, u32],
  opcode: [28, u32],
  send_flags: [32, u32],
  remote_addr: [40, u64],
  rkey: [48, u32],
});
const ibv_sge = placed(16, { addr: [0, u64], length: [8, u32], lkey: [12, u32] });
const ibv_wc = placed(48, { status: [8, u32] });

/** More than any NIC needs; a software device on a busy machine is slow. */
const patienceMs = 20_000;

const IBV_QPT_RC = 2;
/** Every port has it. */
const IBV_MTU_1024 = 3;
const IBV_SEND_SIGNALED = 2;
const STATE = { init: 1, readyToReceive: 2, readyToSend: 3 };
/** enum ibv_qp_attr_mask: what each transition of a reliable connection has to give. */
const MASK = { init: 57, readyToReceive: 1_216_897, readyToSend: 77_313 };
const REMOTE_READ_AND_WRITE = 6;
export const ACCESS = { LOCAL_WRITE: 1, REMOTE_WRITE: 2, REMOTE_READ: 4 } as const;

/** enum ibv_wr_opcode. */
const OPCODE = { write: 0, read: 4 } as const;
/** enum ibv_wc_status, in ibv_wc_status_str's words. */
const STATUS: Readonly<Record<number, string>> = {
  0: 'success',
  2: 'local QP operation error',
  4: 'local protection error',
  5: 'Work Request Flushed Error',
  10: 'remote access error',
  11: 'remote operation error',
  12: 'transport retry counter exceeded',
};

type Call = (...args: readonly unknown[]) => unknown;

function load() {
  const library = koffi.load('libibverbs.so.1');
  const poll = koffi.proto('int poll_cq(void *cq, int entries, void *wc)');
  const post = koffi.proto('int post_send(void *qp, void *wr, void *bad_wr)');
  return {
    getDeviceList: library.func('void *ibv_get_device_list(void *count)') as Call,
    getDeviceName: library.func('const char *ibv_get_device_name(void *device)') as Call,
    openDevice: library.func('void *ibv_open_device(void *device)') as Call,
    closeDevice: library.func('int ibv_close_device(void *context)') as Call,
    allocPd: library.func('void *ibv_alloc_pd(void *context)') as Call,
    createCq: library.func(
      'void *ibv_create_cq(void *context, int entries, void *tag, void *channel, int vector)',
    ) as Call,
    createQp: library.func('void *ibv_create_qp(void *pd, void *attributes)') as Call,
    modifyQp: library.func('int ibv_modify_qp(void *qp, void *attributes, int mask)') as Call,
    destroyQp: library.func('int ibv_destroy_qp(void *qp)') as Call,
    regMr: library.func('void *ibv_reg_mr(void *pd, void *address, size_t length, int access)') as Call,
    regDmabufMr: library.func(
      'void *ibv_reg_dmabuf_mr(void *pd, uint64_t offset, size_t length, uint64_t iova, int fd, int access)',
    ) as Call,
    pollCq: (context: Pointer, ...args: unknown[]) =>
      koffi.call(ibv_context.read(context, 'poll_cq'), poll, ...args) as number,
    postSend: (context: Pointer, ...args: unknown[]) =>
      koffi.call(ibv_context.read(context, 'post_send'), post, ...args) as number,
  };
}

let loaded: ReturnType<typeof load> | undefined;
function ibv(): ReturnType<typeof load> {
  loaded ??= load();
  return loaded;
}

/** What the library made, or an error with its errno. */
function made(pointer: unknown, what: string): Pointer {
  if (pointer === null || pointer === 0n) throw new Error(`${what}: errno ${koffi.errno()}`);
  return pointer as Pointer;
}

function done(result: unknown, what: string): void {
  if (result !== 0) throw new Error(`${what}: ${String(result)}`);
}

export interface Keys {
  readonly lkey: number;
  readonly rkey: number;
}

export interface Transfer {
  readonly operation: keyof typeof OPCODE;
  readonly local: { readonly address: bigint; readonly lkey: number };
  readonly remote: { readonly address: bigint; readonly rkey: number };
  readonly length: number;
}

/** A device opened by the library, with one protection domain and one completion queue. */
export class Verbs {
  readonly #name: string;
  readonly #context: Pointer;
  readonly #pd: Pointer;
  readonly #cq: Pointer;

  /** `name` as in /sys/class/infiniband. */
  constructor(name: string) {
    this.#name = name;
    this.#context = made(ibv().openDevice(deviceCalled(name)), 'ibv_open_device');
    this.#pd = made(ibv().allocPd(this.#context), 'ibv_alloc_pd');
    this.#cq = made(ibv().createCq(this.#context, 16, null, null, 0), 'ibv_create_cq');
  }

  /** Of its file, through which other uverbs requests can be made. */
  get commandFd(): number {
    return ibv_context.read(this.#context, 'cmd_fd');
  }

  /** Of its protection domain, as uverbs calls it. */
  get pdHandle(): number {
    return ibv_pd.read(this.#pd, 'handle');
  }

  /** The buffer has to live as long as its keys. */
  register(buffer: Buffer, access: number): Keys {
    return keysOf(made(ibv().regMr(this.#pd, buffer, buffer.length, access), 'ibv_reg_mr'));
  }

  /** An ordinary region over a DMABUF, at address 0. */
  registerDmabuf(fd: number, length: number, access: number): Keys {
    return keysOf(made(ibv().regDmabufMr(this.#pd, 0, length, 0, fd, access), 'ibv_reg_dmabuf_mr'));
  }

  /** A reliable connection between a queue pair of this device, to post to, and one of another, or of its own. */
  connect(other: Verbs): { from: Pointer; destroy: () => void } {
    const from = this.#createQp();
    const to = other.#createQp();
    this.#bringUp(from, to, other);
    other.#bringUp(to, from, this);
    return { from, destroy: () => [from, to].forEach((qp) => done(ibv().destroyQp(qp), 'ibv_destroy_qp')) };
  }

  /** How the work request ended, in ibv_wc_status_str's words. */
  async transfer(qp: Pointer, { operation, local, remote, length }: Transfer): Promise<string> {
    const piece = ibv_sge.encode({ addr: local.address, length, lkey: local.lkey });
    const request = ibv_send_wr.encode({
      sg_list: koffi.address(piece),
      num_sge: 1,
      opcode: OPCODE[operation],
      send_flags: IBV_SEND_SIGNALED,
      remote_addr: remote.address,
      rkey: remote.rkey,
    });
    done(ibv().postSend(this.#context, qp, request, Buffer.alloc(8)), 'ibv_post_send');
    const status = await this.#completion();
    return STATUS[status] ?? `status ${status}`;
  }

  close(): void {
    ibv().closeDevice(this.#context);
  }

  async #completion(): Promise<number> {
    const completion = Buffer.alloc(ibv_wc.size);
    const end = performance.now() + patienceMs;
    while (performance.now() < end) {
      const found = ibv().pollCq(this.#context, this.#cq, 1, completion);
      if (found > 0) return ibv_wc.read(koffi.address(completion), 'status');
      if (found < 0) throw new Error(`ibv_poll_cq: ${found}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`the work request did not complete within ${patienceMs / 1000} s`);
  }

  #createQp(): Pointer {
    const attributes = ibv_qp_init_attr.encode({
      send_cq: this.#cq,
      recv_cq: this.#cq,
      max_send_wr: 4,
      max_recv_wr: 4,
      max_send_sge: 1,
      max_recv_sge: 1,
      qp_type: IBV_QPT_RC,
    });
    return made(ibv().createQp(this.#pd, attributes), 'ibv_create_qp');
  }

  #bringUp(qp: Pointer, to: Pointer, other: Verbs): void {
    const steps = {
      init: { port_num: 1, qp_access_flags: REMOTE_READ_AND_WRITE },
      readyToReceive: {
        path_mtu: IBV_MTU_1024,
        dest_qp_num: ibv_qp.read(to, 'qp_num'),
        ...addressOf(other.#name),
        ah_port_num: 1,
        max_dest_rd_atomic: 1,
        min_rnr_timer: 12,
      },
      readyToSend: { timeout: 14, retry_cnt: 7, rnr_retry: 7, max_rd_atomic: 1 },
    };
    for (const [step, values] of Object.entries(steps) as [keyof typeof steps, object][]) {
      const attributes = ibv_qp_attr.encode({ ...values, qp_state: STATE[step] });
      done(ibv().modifyQp(qp, attributes, MASK[step]), `ibv_modify_qp to ${step}`);
    }
  }
}

/** By which a port is reached: its LID on InfiniBand, its first GID on Ethernet. */
function addressOf(name: string) {
  const read = (file: string): string => readFileSync(`/sys/class/infiniband/${name}/ports/1/${file}`, 'utf8').trim();
  if (read('link_layer') === 'InfiniBand') return { dlid: Number(read('lid')) };
  const gid = Buffer.from(read('gids/0').replaceAll(':', ''), 'hex');
  return { dgid_begin: gid.readBigUInt64LE(0), dgid_end: gid.readBigUInt64LE(8), is_global: 1, hop_limit: 1 };
}

function deviceCalled(name: string): Pointer {
  const list = made(ibv().getDeviceList(null), 'ibv_get_device_list');
  for (let at = list; ; at += 8n) {
    const device = Buffer.from(koffi.view(at, 8)).readBigUInt64LE();
    if (device === 0n) throw new Error(`libibverbs shows no device ${name}`);
    if (ibv().getDeviceName(device) === name) return device;
  }
}

function keysOf(mr: Pointer): Keys {
  return { lkey: ibv_mr.read(mr, 'lkey'), rkey: ibv_mr.read(mr, 'rkey') };
}
