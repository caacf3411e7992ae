// Working off send queues: RDMA WRITE and READ, SEND, and UMR. Everything happens in order and, up to a turn of the loop, at once; a fabric
// that loses or reorders packets is not modelled. Datagram queue pairs complete their work and nothing arrives anywhere.
import { TURN_MS } from '../loop.ts';
import { DmaFault } from '../vfio-user/dma-map.ts';
import { CQE, type Completion } from './completion-queue.ts';
import type { Domains } from './hardware.ts';
import { AccessViolation, Patience, type Piece, resolve, type Right } from './memory-key.ts';
import { QP_STATE, type QueuePair, SEND_BLOCK, SERVICE } from './queue-pair.ts';
import type { Resources } from './resources.ts';
import { CommandFailure } from './status.ts';
import type { Traffic } from './traffic.ts';
import { changeKey, UMR_DATA, umrRefusal, umrRequest } from './umr.ts';
import {
  COMPLETION_WANTED,
  controlSegment,
  type LocalData,
  localData,
  OPCODE,
  remoteSegment,
  SEGMENT,
} from './work-request.ts';

/** enum of completion syndromes (include/linux/mlx5/cq.h). */
export const SYNDROME = {
  LOCAL_LENGTH: 0x01,
  LOCAL_OPERATION: 0x02,
  LOCAL_PROTECTION: 0x04,
  FLUSHED: 0x05,
  REMOTE_INVALID_REQUEST: 0x12,
  REMOTE_ACCESS: 0x13,
  REMOTE_OPERATION: 0x14,
  RETRIES_EXCEEDED: 0x15,
  RECEIVER_NOT_READY: 0x16,
} as const;

/** The receive ring has no doorbell, so a send that finds no receive looks again. */
const RETRY_MS = 1;
/** rnr_retry 7 means "for ever" to hardware; here it means until a person would call it hanging. */
const FOREVER_MS = 30_000;
const ONE_RETRY_MS = 10;
const NO_LIMIT = 7;
/** log_max_msg of our capabilities. */
const longestMessage = 2 ** 30;

/** A NIC as its peers see it. */
export interface Node {
  readonly resources: Resources;
  readonly portUp: boolean;
}

export interface Fabric {
  /** The NIC with this LID, itself too. */
  node(lid: number): Node | undefined;
}

class WorkError extends Error {
  readonly syndrome: number;

  constructor(syndrome: keyof typeof SYNDROME, reason: string) {
    super(reason);
    this.syndrome = SYNDROME[syndrome];
  }
}

/** The other end has posted no receive: not an error yet. */
class ReceiverNotReady extends Error {}

interface Entry {
  readonly control: ReturnType<typeof controlSegment.read>;
  readonly bytes: Buffer;
  readonly blocks: number;
}

export class Work {
  readonly #resources: Resources;
  readonly #fabric: Fabric;
  readonly #traffic: Traffic;

  constructor(resources: Resources, fabric: Fabric, traffic: Traffic) {
    this.#resources = resources;
    this.#fabric = fabric;
    this.#traffic = traffic;
  }

  /** The driver says that it has posted something. */
  ring(qp: QueuePair): void {
    if (!qp.looksAgain) this.run(qp);
  }

  /**
   * Works off what the driver has posted; on a queue pair in error that means to complete it as flushed. What does not get done in this turn
   * of the loop is done in later ones: a driver may post more than can be done before QEMU gives up on us.
   */
  run(qp: QueuePair): void {
    const { hardware } = this.#resources;
    const end = hardware.now() + TURN_MS;
    try {
      while (this.#exists(qp) && this.#mayRun(qp)) {
        const posted = qp.sendsPosted();
        if (posted === 0) break;
        if (hardware.now() >= end) return this.#lookAgain(qp, 0);
        if (!this.#runOne(qp, posted)) return;
      }
      while (this.#exists(qp) && qp.state === QP_STATE.ERR && qp.receivesPosted() > 0) {
        if (hardware.now() >= end) return this.#lookAgain(qp, 0);
        this.#completeReceive(qp, { opcode: CQE.RESPONDER_ERROR, syndrome: SYNDROME.FLUSHED });
      }
    } catch (error) {
      // The ring itself or its doorbell record cannot be read: there is no entry that could be completed with an error.
      if (!(error instanceof DmaFault || error instanceof RangeError)) throw error;
      hardware.log(`QP ${qp.number} is in error: ${error.message}`);
      qp.fail();
    }
  }

  /** One that waited may be destroyed by now, or the NIC reset: its memory is no longer its own. */
  #exists(qp: QueuePair): boolean {
    return this.#resources.qps.get(qp.number) === qp;
  }

  #mayRun({ state }: QueuePair): boolean {
    return state === QP_STATE.RTS || state === QP_STATE.ERR;
  }

  /** False when the entry has to wait. Never goes past what is posted: beyond it the counters would not meet again. */
  #runOne(qp: QueuePair, posted: number): boolean {
    const entry = readEntry(qp);
    try {
      if (entry.blocks > posted)
        throw new WorkError('LOCAL_OPERATION', `it is ${entry.blocks} blocks long, and ${posted} are posted`);
      const bytes = this.#execute(qp, entry);
      qp.waitingSince = undefined;
      if (entry.control.completion >= COMPLETION_WANTED)
        this.#completeSend(qp, entry, { opcode: CQE.REQUESTER, byte_cnt: bytes });
    } catch (error) {
      if (error instanceof ReceiverNotReady && this.#mayWait(qp)) {
        this.#lookAgain(qp, RETRY_MS);
        return false;
      }
      this.#failSend(qp, entry, error);
    }
    qp.sent = (qp.sent + Math.min(entry.blocks, posted)) & 0xffff;
    return true;
  }

  /** One look for all who rang meanwhile. */
  #lookAgain(qp: QueuePair, milliseconds: number): void {
    if (qp.looksAgain) return;
    qp.looksAgain = true;
    this.#resources.hardware.after(milliseconds, () => {
      qp.looksAgain = false;
      this.run(qp);
    });
  }

  #mayWait(qp: QueuePair): boolean {
    const now = this.#resources.hardware.now();
    qp.waitingSince ??= now;
    const retries = qp.context.rnr_retry;
    return now - qp.waitingSince < (retries === NO_LIMIT ? FOREVER_MS : retries * ONE_RETRY_MS);
  }

  #failSend(qp: QueuePair, entry: Entry, error: unknown): void {
    const syndrome = syndromeOf(error);
    const wasError = qp.state === QP_STATE.ERR;
    if (!wasError) {
      this.#resources.hardware.log(
        `QP ${qp.number}: work request ${entry.control.index} failed: ${(error as Error).message}`,
      );
    }
    qp.fail();
    this.#completeSend(qp, entry, { opcode: CQE.REQUESTER_ERROR, syndrome });
  }

  /** The number of bytes moved. */
  #execute(qp: QueuePair, entry: Entry): number {
    if (qp.state === QP_STATE.ERR) throw new WorkError('FLUSHED', 'the queue pair is in error');
    const { st } = qp.context;
    if (st === SERVICE.UMR) return this.#umr(entry);
    if (st !== SERVICE.RC && st !== SERVICE.UC) return 0;
    const { opcode } = entry.control;
    if (opcode === OPCODE.NOP) return 0;
    const operation = this.#operations[opcode];
    if (operation === undefined)
      throw new WorkError('LOCAL_OPERATION', `opcode 0x${opcode.toString(16)} is not emulated`);
    return operation(qp, entry);
  }

  readonly #operations: Readonly<Record<number, (qp: QueuePair, entry: Entry) => number>> = {
    [OPCODE.RDMA_WRITE]: (qp, entry) => this.#write(qp, entry),
    [OPCODE.RDMA_WRITE_IMMEDIATE]: (qp, entry) => this.#writeWithImmediate(qp, entry),
    [OPCODE.RDMA_READ]: (qp, entry) => this.#read(qp, entry),
    [OPCODE.SEND]: (qp, entry) => this.#send(qp, entry, { opcode: CQE.RESPONDER_SEND }),
    [OPCODE.SEND_IMMEDIATE]: (qp, entry) =>
      this.#send(qp, entry, { opcode: CQE.RESPONDER_SEND_IMMEDIATE, immediate: entry.control.immediate }),
    [OPCODE.UMR]: () => {
      throw new WorkError('LOCAL_OPERATION', 'UMR on a queue pair that is not for UMR');
    },
  };

  #write(qp: QueuePair, entry: Entry): number {
    const local = this.#local(qp, localData(entry.bytes, SEGMENT * 2), 'lr');
    const remote = this.#remote(qp, entry, lengthOf(local), 'rw');
    return copy(local, remote);
  }

  #writeWithImmediate(qp: QueuePair, entry: Entry): number {
    const other = this.#otherEnd(qp);
    if (other.qp.receivesPosted() === 0) throw new ReceiverNotReady('no receive is posted for the immediate data');
    const bytes = this.#write(qp, entry);
    const { immediate } = entry.control;
    other.work.#completeReceive(other.qp, { opcode: CQE.RESPONDER_WRITE_IMMEDIATE, byte_cnt: bytes, immediate });
    return bytes;
  }

  #read(qp: QueuePair, entry: Entry): number {
    const local = this.#local(qp, localData(entry.bytes, SEGMENT * 2), 'lw');
    const remote = this.#remote(qp, entry, lengthOf(local), 'rr');
    return copy(remote, local);
  }

  #send(qp: QueuePair, entry: Entry, completion: Completion): number {
    const local = this.#local(qp, localData(entry.bytes, SEGMENT), 'lr');
    const other = this.#otherEnd(qp);
    if (other.qp.receivesPosted() === 0) throw new ReceiverNotReady('no receive is posted');
    const bytes = other.work.#receive(other.qp, local);
    other.work.#completeReceive(other.qp, { ...completion, byte_cnt: bytes });
    return bytes;
  }

  /** Into the oldest receive of the queue pair. */
  #receive(qp: QueuePair, data: readonly Buffer[]): number {
    const length = lengthOf(data);
    try {
      const room = this.#local(qp, localData(qp.readReceive(), 0), 'lw');
      if (lengthOf(room) >= length) return copy(data, room);
    } catch (error) {
      this.#failReceive(qp, SYNDROME.LOCAL_PROTECTION, error);
      throw new WorkError('REMOTE_OPERATION', (error as Error).message);
    }
    this.#failReceive(qp, SYNDROME.LOCAL_LENGTH, new Error('the posted receive is too short'));
    throw new WorkError('REMOTE_INVALID_REQUEST', `the posted receive is shorter than ${length} bytes`);
  }

  #failReceive(qp: QueuePair, syndrome: number, error: unknown): void {
    this.#resources.hardware.log(`QP ${qp.number}: receive failed: ${(error as Error).message}`);
    this.#completeReceive(qp, { opcode: CQE.RESPONDER_ERROR, syndrome });
    qp.fail();
    this.run(qp);
  }

  #umr({ control, bytes }: Entry): number {
    const request = umrRequest(bytes);
    const key = this.#resources.mkeys.get(control.immediate >>> 8);
    if (key === undefined)
      throw new WorkError('LOCAL_OPERATION', `there is no memory key 0x${control.immediate.toString(16)}`);
    const refusal = umrRefusal(key, request);
    if (refusal !== undefined) throw new WorkError('LOCAL_OPERATION', refusal);
    const pieces = request.control.inline === 1 ? [] : this.#local(undefined, localData(bytes, UMR_DATA), 'lr');
    changeKey(key, request, Buffer.concat(pieces));
    return 0;
  }

  /** The guest's memory behind the data segments. */
  #local(qp: QueuePair | undefined, data: readonly LocalData[], right: Right): Buffer[] {
    const pd = qp === undefined ? {} : { pd: qp.context.pd };
    const [keys, patience] = [this.#keys(this.#resources.hardware), new Patience()];
    if (lengthOf(data) > longestMessage) throw new WorkError('LOCAL_LENGTH', `${lengthOf(data)} bytes at once`);
    try {
      return data.flatMap((one) => {
        if (Buffer.isBuffer(one)) return [one];
        return this.#memory(resolve(keys, { ...one, ...pd, right }, patience), right);
      });
    } catch (error) {
      if (error instanceof AccessViolation || error instanceof DmaFault)
        throw new WorkError('LOCAL_PROTECTION', error.message);
      throw error;
    }
  }

  #remote(qp: QueuePair, entry: Entry, length: number, right: 'rr' | 'rw'): Buffer[] {
    const { address, key } = remoteSegment.read(entry.bytes, SEGMENT);
    const other = this.#otherEnd(qp);
    const { rre, rwe, pd } = other.qp.context;
    try {
      if ((right === 'rr' ? rre : rwe) === 0)
        throw new AccessViolation(`QP ${other.qp.number} does not allow ${right}`);
      const keys = other.work.#keys(other.work.#resources.hardware.remoteDomains());
      return this.#memory(resolve(keys, { key, address, length, right, pd }, new Patience()), right);
    } catch (error) {
      if (!(error instanceof AccessViolation || error instanceof DmaFault)) throw error;
      other.qp.fail();
      other.work.run(other.qp);
      throw new WorkError(error instanceof DmaFault ? 'REMOTE_OPERATION' : 'REMOTE_ACCESS', error.message);
    }
  }

  #keys(domains: Domains): Parameters<typeof resolve>[0] {
    return { mkeys: this.#resources.mkeys, domains };
  }

  /** DmaFault when any of it is not mapped in its domain: nothing has been copied then. */
  #memory(pieces: readonly Piece[], right: Right): Buffer[] {
    const memory = pieces.flatMap(({ domain, address, length }) => domain.pieces(address, length));
    const direction = right === 'lr' || right === 'rr' ? 'read' : 'written';
    for (const { domain, length } of pieces) this.#traffic.count(domain.owner, direction, length);
    return memory;
  }

  #otherEnd(qp: QueuePair): { qp: QueuePair; work: Work } {
    const node = this.#fabric.node(qp.remoteLid);
    const other = node?.resources.qps.get(qp.context.remote_qpn);
    const answers = node?.portUp === true && (other?.state === QP_STATE.RTR || other?.state === QP_STATE.RTS);
    if (node === undefined || other === undefined || !answers || other.context.st !== qp.context.st) {
      throw new WorkError('RETRIES_EXCEEDED', `QP ${qp.context.remote_qpn} at LID ${qp.remoteLid} does not answer`);
    }
    return { qp: other, work: new Work(node.resources, this.#fabric, this.#traffic) };
  }

  #completeSend(qp: QueuePair, { control }: Entry, completion: Completion): void {
    this.#complete(qp, qp.context.cqn_snd, { ...completion, wqe_opcode: control.opcode, wqe_counter: qp.sent });
  }

  #completeReceive(qp: QueuePair, completion: Completion): void {
    this.#complete(qp, qp.context.cqn_rcv, { ...completion, wqe_counter: qp.received });
    qp.received = (qp.received + 1) & 0xffff;
  }

  #complete(qp: QueuePair, cqn: number, completion: Completion): void {
    const cq = this.#resources.cqs.get(cqn);
    if (cq === undefined) this.#resources.hardware.log(`QP ${qp.number} completes to CQ ${cqn}, which does not exist`);
    else cq.post({ ...completion, qpn: qp.number, srqn_uidx: qp.context.user_index });
  }
}

/** The next entry of the send ring. */
function readEntry(qp: QueuePair): Entry {
  const control = controlSegment.read(qp.readSend(SEGMENT));
  const length = Math.max(1, control.segments) * SEGMENT;
  return { control, bytes: qp.readSend(length), blocks: Math.ceil(length / SEND_BLOCK) };
}

function syndromeOf(error: unknown): number {
  if (error instanceof WorkError) return error.syndrome;
  if (error instanceof ReceiverNotReady) return SYNDROME.RECEIVER_NOT_READY;
  // An entry that ends before its segments do, or asks a key for what it cannot hold.
  if (error instanceof RangeError || error instanceof CommandFailure) return SYNDROME.LOCAL_OPERATION;
  if (error instanceof DmaFault) return SYNDROME.LOCAL_PROTECTION;
  throw error;
}

/** The number of bytes; `to` has room for them. A message may be a GiB long, so it is not gathered first. */
function copy(from: readonly Buffer[], to: readonly Buffer[]): number {
  const places = to.values();
  let place = places.next().value;
  for (const piece of from) {
    for (let at = 0; at < piece.length && place !== undefined;) {
      const copied = piece.copy(place, 0, at);
      at += copied;
      place = copied < place.length ? place.subarray(copied) : places.next().value;
    }
  }
  return lengthOf(from);
}

function lengthOf(pieces: readonly { readonly length: number }[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
