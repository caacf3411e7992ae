// Data through a memory region over a udmabuf, by RDMA WRITE and READ of a NIC to itself or to another: what arrives is looked at in the memory
// behind the udmabuf. The data direct region is made by driver-core, in libibverbs' own context and protection domain.

import { closeSync, readdirSync } from 'node:fs';
import koffi from 'koffi';
import type { Device } from '../../../driver-core/src/host/host.ts';
import { createDmabuf } from '../../../driver-core/src/host/dmabuf.ts';
import { loadNative } from '../../../driver-core/src/host/native.ts';
import { ProtectionDomain } from '../../../driver-core/src/verbs/context.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';
import { type MemoryRegion, registerDmabuf } from '../../../driver-core/src/verbs/memory-region.ts';
import { Errno, refused } from '../../../driver-core/src/host/host.ts';
import { libc, map } from './libc.ts';
import { ACCESS, type Keys, Verbs } from './libibverbs.ts';

const PAGE = 4096;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

/** How a transfer ended, and whether the bytes are where they should be. */
export interface Outcome {
  readonly status: string;
  readonly data: 'arrived' | 'untouched' | 'partly there';
}

export class Loopback {
  readonly #near: Verbs;
  /** The NIC whose region it is. */
  readonly #far: Verbs;
  readonly #length: number;
  /** The program's own memory, from which it writes and into which it reads. */
  readonly #own: Buffer;
  readonly #ownKeys: Keys;
  /** The memory behind the udmabuf. */
  readonly #shared: Buffer;
  readonly #dmabuf: number;

  /** On the NIC with this PCI address. All that `work` makes is gone afterwards, however it ends. */
  static on<T>(nic: string, length: number, work: (loopback: Loopback) => Promise<T>): Promise<T> {
    return Loopback.between(nic, nic, length, work);
  }

  /** Likewise, with the region on another NIC. */
  static async between<T>(
    near: string,
    far: string,
    length: number,
    work: (loopback: Loopback) => Promise<T>,
  ): Promise<T> {
    const names = [...new Set([near, far])].map(rdmaDeviceOf);
    const dmabuf = createDmabuf(loadNative(), '/dev', length);
    if (refused(dmabuf)) throw new Error(`${dmabuf.what}: ${dmabuf.code}`);
    const opened: Verbs[] = [];
    try {
      for (const name of names) opened.push(new Verbs(name));
      const [first, second = first] = opened as [Verbs, Verbs?];
      return await work(new Loopback(first, second, length, dmabuf.fd));
    } finally {
      for (const verbs of opened) verbs.close();
      closeSync(dmabuf.fd);
    }
  }

  private constructor(near: Verbs, far: Verbs, length: number, dmabuf: number) {
    this.#near = near;
    this.#far = far;
    this.#length = length;
    this.#dmabuf = dmabuf;
    this.#shared = Buffer.from(koffi.view(map(length, PROT_READ_WRITE, MAP_SHARED, dmabuf), length));
    this.#own = Buffer.alloc(length);
    this.#ownKeys = this.#near.register(this.#own, ACCESS.LOCAL_WRITE);
  }

  async registerDataDirect(): Promise<MemoryRegion> {
    const pd = new ProtectionDomain(this.#device(), this.#far.pdHandle, PAGE);
    const region = await registerDmabuf(pd, { fd: this.#dmabuf, length: this.#length });
    if (region instanceof Refusal) throw new Error(`data direct registration: ${region.errno.code}`);
    return region;
  }

  registerOrdinary(): Keys {
    return this.#far.registerDmabuf(
      this.#dmabuf,
      this.#length,
      ACCESS.LOCAL_WRITE | ACCESS.REMOTE_WRITE | ACCESS.REMOTE_READ,
    );
  }

  /** Own memory → the region. */
  write(region: Keys): Promise<Outcome> {
    return this.#move('write', region, this.#own, this.#shared);
  }

  /** The region → own memory. */
  read(region: Keys): Promise<Outcome> {
    return this.#move('read', region, this.#shared, this.#own);
  }

  async #move(operation: 'write' | 'read', { rkey }: Keys, from: Buffer, to: Buffer): Promise<Outcome> {
    for (let at = 0; at < from.length; at += 4) from.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
    to.fill(0xee);
    const before = Buffer.from(to);
    // A queue pair is in error after a failed transfer, so each gets its own.
    const { from: qp, destroy } = this.#near.connect(this.#far);
    const status = await this.#near.transfer(qp, {
      operation,
      local: { address: koffi.address(this.#own), lkey: this.#ownKeys.lkey },
      remote: { address: 0n, rkey },
      length: this.#length,
    });
    destroy();
    if (to.equals(from)) return { status, data: 'arrived' };
    return { status, data: to.equals(before) ? 'untouched' : 'partly there' };
  }

  /** The library's own file as driver-core's door sees a device. */
  #device(): Device {
    const fd = this.#far.commandFd;
    return {
      async ioctl(request, bytes, pointers) {
        for (const { offset, target } of pointers) bytes.writeBigUInt64LE(koffi.address(target), offset);
        try {
          libc.ioctl(fd, request, bytes);
          return 0;
        } catch (error) {
          return new Errno((error as Error).message.replace('ioctl: ', ''), 0, 'ioctl');
        }
      },
      close: () => Promise.resolve(),
    };
  }
}

function rdmaDeviceOf(nic: string): string {
  const [name] = readdirSync(`/sys/bus/pci/devices/${nic}/infiniband`);
  if (name === undefined) throw new Error(`${nic} has no RDMA device`);
  return name;
}
