// Two reliably connected queue pairs of one port, connected with each other: RDMA WRITE and READ with Debian's libibverbs
// and the device's own provider. Memory regions may be libibverbs' or driver-core's: both in the same protection domain.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';
import { ProtectionDomain } from '../../../driver-core/src/verbs/context.ts';
import { borrowedDevice } from './borrowed-device.ts';
import type { Memory } from './memory.ts';
import {
  ahAttrOffset,
  ibv,
  ibv_ah_attr,
  ibv_qp_attr,
  ibv_qp_attr_end,
  ibv_qp_init_attr,
  ibv_send_wr,
  ibv_sge,
  made,
  type Pointer,
  pollCq,
  postSend,
  qpAttrEndOffset,
  qpAttrSize,
  sendWrSize,
} from './verbs-library.ts';

/** Something that a work request may name. */
export interface Region {
  readonly address: bigint;
  readonly lkey: number;
  readonly rkey: number;
}

/** enum ibv_wr_opcode. */
const opcodes = { write: 0, read: 4 } as const;
const IBV_SEND_SIGNALED = 2;
const IBV_QPT_RC = 2;
/** enum ibv_qp_state. */
const states = { init: 1, rtr: 2, rts: 3 } as const;
/** enum ibv_qp_attr_mask. */
const mask = {
  init: (1 << 0) | (1 << 3) | (1 << 4) | (1 << 5), // state, access flags, pkey index, port
  rtr: (1 << 0) | (1 << 7) | (1 << 8) | (1 << 12) | (1 << 15) | (1 << 17) | (1 << 20), // state, path, mtu, psn, rnr timer, reads, peer
  rts: (1 << 0) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 13) | (1 << 16), // state, timeout, retries, rnr retries, reads, psn
} as const;
const IBV_MTU_1024 = 3;
/** IBV_ACCESS_LOCAL_WRITE | REMOTE_WRITE | REMOTE_READ. */
const access = 1 | 2 | 4;
const port = 1;
const completionTimeoutMs = 20_000;

export class ReliableConnection {
  readonly #context: Pointer;
  readonly #pd: Pointer;
  readonly #cq: Pointer;
  readonly #sender: Pointer;
  readonly #receiver: Pointer;

  /** `name` as in /sys/class/infiniband. */
  constructor(name: string) {
    this.#context = must(ibv.openDevice(find(name)), 'ibv_open_device');
    this.#pd = must(ibv.allocPd(this.#context), 'ibv_alloc_pd');
    this.#cq = must(ibv.createCq(this.#context, 16, null, null, 0), 'ibv_create_cq');
    this.#sender = this.#createQp();
    this.#receiver = this.#createQp();
    connect(this.#sender, this.#receiver, name);
    connect(this.#receiver, this.#sender, name);
  }

  /** An ordinary memory region, which goes through the NIC's own DMA. */
  register({ address, bytes }: Memory): Region {
    const mr = must(ibv.regMr(this.#pd, address, bytes.length, access), 'ibv_reg_mr');
    return { address, lkey: made.lkey(mr), rkey: made.rkey(mr) };
  }

  /** For memory regions that driver-core registers. */
  async protectionDomain(pageSize: number): Promise<ProtectionDomain> {
    const device = await borrowedDevice(made.commandFd(this.#context));
    return new ProtectionDomain(device, made.pdHandle(this.#pd), pageSize);
  }

  /** The status of the work request: `success`, or libibverbs' text for what went wrong. */
  async transfer(kind: keyof typeof opcodes, local: Region, remote: Region, length: number): Promise<string> {
    const part = ibv_sge.encode({ addr: local.address, length, lkey: local.lkey });
    const request = Buffer.alloc(sendWrSize);
    ibv_send_wr.write(request, 0, {
      sg_list: koffi.address(part),
      num_sge: 1,
      opcode: opcodes[kind],
      send_flags: IBV_SEND_SIGNALED,
      remote_addr: remote.address,
      rkey: remote.rkey,
    });
    postSend(this.#context, this.#sender, request);
    const deadline = performance.now() + completionTimeoutMs;
    for (;;) {
      const completion = pollCq(this.#context, this.#cq);
      if (completion !== undefined) return ibv.statusText(completion.status) as string;
      if (performance.now() > deadline)
        throw new Error(`no completion of an RDMA ${kind} within ${completionTimeoutMs} ms`);
      await sleep(1);
    }
  }

  /** Memory regions that are left go with it. */
  close(): void {
    ibv.destroyQp(this.#sender);
    ibv.destroyQp(this.#receiver);
    ibv.destroyCq(this.#cq);
    ibv.deallocPd(this.#pd);
    ibv.closeDevice(this.#context);
  }

  #createQp(): Pointer {
    const attributes = ibv_qp_init_attr.encode({
      send_cq: this.#cq,
      recv_cq: this.#cq,
      max_send_wr: 8,
      max_recv_wr: 8,
      max_send_sge: 1,
      max_recv_sge: 1,
      qp_type: IBV_QPT_RC,
    });
    return must(ibv.createQp(this.#pd, attributes), 'ibv_create_qp');
  }
}

function find(name: string): Pointer {
  const count = [0];
  const list = must(ibv.getDeviceList(count), 'ibv_get_device_list');
  const devices = koffi.decode(list, 'void *', count[0] ?? 0) as Pointer[];
  const found = devices.find((device) => ibv.getDeviceName(device) === name);
  if (found === undefined) throw new Error(`libibverbs does not know ${name}`);
  return found;
}

function connect(from: Pointer, to: Pointer, name: string): void {
  modify(from, mask.init, { state: states.init });
  modify(from, mask.rtr, { state: states.rtr, peer: made.qpNumber(to), name });
  modify(from, mask.rts, { state: states.rts });
}

function modify(qp: Pointer, which: number, to: { state: number; peer?: number; name?: string }): void {
  const attributes = Buffer.alloc(qpAttrSize);
  ibv_qp_attr.write(attributes, 0, {
    qp_state: to.state,
    path_mtu: IBV_MTU_1024,
    dest_qp_num: to.peer ?? 0,
    qp_access_flags: access,
  });
  if (to.name !== undefined) addressOf(to.name).copy(attributes, ahAttrOffset);
  ibv_qp_attr_end.write(attributes, qpAttrEndOffset, {
    max_rd_atomic: 1,
    max_dest_rd_atomic: 1,
    min_rnr_timer: 12,
    port_num: port,
    timeout: 14,
    retry_cnt: 3,
    rnr_retry: 3,
  });
  const errno = ibv.modifyQp(qp, attributes, which) as number;
  if (errno !== 0) throw new Error(`ibv_modify_qp to state ${to.state}: errno ${errno}`);
}

/** Of the port itself: by LID on InfiniBand, by its first GID on Ethernet. */
function addressOf(name: string): Buffer {
  const read = (file: string): string =>
    readFileSync(`/sys/class/infiniband/${name}/ports/${port}/${file}`, 'utf8').trim();
  if (read('link_layer') === 'InfiniBand') {
    return ibv_ah_attr.encode({ dlid: Number(read('lid')), port_num: port });
  }
  const gid = Buffer.from(read('gids/0').replaceAll(':', ''), 'hex');
  const halves = { dgid_high: gid.readBigUInt64LE(0), dgid_low: gid.readBigUInt64LE(8) };
  return ibv_ah_attr.encode({ ...halves, hop_limit: 1, is_global: 1, port_num: port });
}

function must(pointer: unknown, call: string): Pointer {
  if (typeof pointer !== 'bigint') throw new Error(`${call}: errno ${koffi.errno()}`);
  return pointer;
}
