// One vfio-user client (a QEMU) on one function: its requests answered by a table. A request that makes no sense for the function is
// answered with an errno; bytes that are no vfio-user message end the connection with one line.
import { closeSync } from 'node:fs';
import { serverError } from '../errors.ts';
import { closeAll, receive, send } from '../native.ts';
import type { Bar, PciFunction, Slot } from '../pci/function.ts';
import { GuestMemory } from './guest-memory.ts';
import * as wire from './wire.ts';

const EINVAL = 22;
const ENOSYS = 38;
const ENOSPC = 28;
/** More of one client's messages are for the next turn of the loop: others wait too. */
const mostMessagesAtOnce = 16;
/** QEMU announces 65535. */
const mostDmaRanges = 65_535;

/** Refused with this errno; the connection goes on. */
class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** A body that ends too early is refused. */
function parsed<T>(struct: { readonly size: number; read(bytes: Buffer): T }, body: Buffer): T {
  if (body.length < struct.size) throw new Refusal(EINVAL);
  return struct.read(body);
}

export class Connection {
  readonly #fd: number;
  readonly #function: PciFunction;
  readonly #slot: Slot;
  readonly #memory = new GuestMemory();
  /** The message that is arriving. */
  readonly #bytes = Buffer.alloc(wire.longestMessage);
  #have = 0;
  #fds: number[] = [];

  constructor(fd: number, device: PciFunction, slot: Slot) {
    this.#fd = fd;
    this.#function = device;
    this.#slot = slot;
  }

  /** Takes some of what has arrived; throws when the client is gone or talks nonsense. Afterwards the connection must be closed. */
  readable(): 'open' | 'ended' {
    for (let handled = 0; handled < mostMessagesAtOnce;) {
      const missing = this.#missing();
      if (missing === 0) {
        this.#handleMessage();
        handled += 1;
        continue;
      }
      const received = receive(this.#fd, this.#bytes, this.#have, missing);
      if (received === 'nothing yet') return 'open';
      if (received === 'end') return 'ended';
      this.#have += received.bytes;
      this.#fds.push(...received.fds);
      if (this.#fds.length > wire.mostFdsInMessage)
        throw this.#nonsense(`sent more than ${wire.mostFdsInMessage} file descriptors at once`);
    }
    return 'open';
  }

  close(): void {
    closeSync(this.#fd);
    closeAll(this.#fds.splice(0));
    this.#slot.interrupts.clear();
    this.#slot.dma.clear();
    this.#memory.release();
  }

  /** Bytes that the message still lacks: never more than one message is read, so file descriptors belong to the right one. */
  #missing(): number {
    if (this.#have < wire.header.size) return wire.header.size - this.#have;
    const { size } = wire.header.read(this.#bytes);
    if (size < wire.header.size || size > wire.longestMessage) {
      throw this.#nonsense(
        `announced a message of ${size} bytes (${wire.header.size} to ${wire.longestMessage} are possible)`,
      );
    }
    return size - this.#have;
  }

  #handleMessage(): void {
    const request = wire.header.read(this.#bytes);
    const body = Buffer.from(this.#bytes.subarray(wire.header.size, this.#have));
    const fds = this.#fds;
    this.#have = 0;
    this.#fds = [];
    const { reply, errno } = this.#answer(request.command, body, fds);
    closeAll(fds);
    if ((request.flags & wire.NO_REPLY_WANTED) !== 0) return;
    const head = wire.header.encode({
      id: request.id,
      command: request.command,
      size: wire.header.size + reply.length,
      flags: errno === 0 ? wire.REPLY : wire.REPLY | wire.ERROR,
      error: errno,
    });
    if (!send(this.#fd, Buffer.concat([head, reply]))) throw this.#nonsense('does not read its replies');
  }

  #answer(command: number, body: Buffer, fds: number[]): { reply: Buffer; errno: number } {
    try {
      const handler = this.#handlers[command];
      if (handler === undefined) throw new Refusal(ENOSYS);
      return { reply: handler(body, fds), errno: 0 };
    } catch (error) {
      if (error instanceof Refusal) return { reply: Buffer.alloc(0), errno: error.errno };
      throw error;
    }
  }

  /** By message number. A handler that keeps a descriptor takes it out of the list. */
  readonly #handlers: Readonly<Record<number, (body: Buffer, fds: number[]) => Buffer>> = {
    1: (body) => this.#version(body),
    2: (body, fds) => this.#mapDma(body, fds),
    3: (body) => this.#unmapDma(body),
    4: () =>
      wire.deviceInfo.encode({
        argsz: wire.deviceInfo.size,
        flags: wire.DEVICE_IS_PCI,
        regions: wire.REGIONS,
        irqs: wire.IRQS,
      }),
    5: (body) => this.#regionInfo(body),
    7: (body) => this.#irqInfo(body),
    8: (body, fds) => this.#setIrqs(body, fds),
    9: (body) => this.#readRegion(body),
    10: (body) => this.#writeRegion(body),
    13: () => this.#reset(),
  };

  #version(body: Buffer): Buffer {
    if (parsed(wire.version, body).major !== 0) throw new Refusal(EINVAL);
    const capabilities = { max_msg_fds: wire.mostFdsInMessage, max_data_xfer_size: wire.longestAccess };
    return Buffer.concat([wire.version.encode({}), Buffer.from(`${JSON.stringify({ capabilities })}\0`)]);
  }

  /** ROM and other devices' BARs come without a descriptor: this function cannot reach them. */
  #mapDma(body: Buffer, fds: readonly number[]): Buffer {
    const { offset, address, size } = parsed(wire.dmaMap, body);
    const [fd] = fds;
    if (fd === undefined) return Buffer.alloc(0);
    if (this.#slot.dma.size >= mostDmaRanges) throw new Refusal(ENOSPC);
    const bytes = this.#memory.bytesOf(fd, offset, size);
    if (bytes === undefined) throw new Refusal(EINVAL);
    this.#slot.dma.map(address, bytes);
    return Buffer.alloc(0);
  }

  #unmapDma(body: Buffer): Buffer {
    const { flags, address, size } = parsed(wire.dmaUnmap, body);
    if ((flags & wire.UNMAP_ALL) !== 0) this.#slot.dma.clear();
    else this.#slot.dma.unmap(address, size);
    return body.subarray(0, wire.dmaUnmap.size);
  }

  #regionInfo(body: Buffer): Buffer {
    const { index } = parsed(wire.regionInfo, body);
    if (index >= wire.REGIONS) throw new Refusal(EINVAL);
    const size = this.#region(index)?.size ?? 0;
    return wire.regionInfo.encode({
      argsz: wire.regionInfo.size,
      flags: size > 0 ? wire.REGION_READ_WRITE : 0,
      index,
      size: BigInt(size),
    });
  }

  #region(index: number): Bar | undefined {
    const { config, bars } = this.#function;
    if (index !== wire.CONFIG_REGION) return bars.get(index);
    return {
      size: config.size,
      read: (offset, length) => config.read(offset, length),
      write: (offset, data) => config.write(offset, data),
    };
  }

  #irqInfo(body: Buffer): Buffer {
    const { index } = parsed(wire.irqInfo, body);
    if (index >= wire.IRQS) throw new Refusal(EINVAL);
    const count = index === wire.MSIX_IRQ ? this.#function.vectors : 0;
    return wire.irqInfo.encode({
      argsz: wire.irqInfo.size,
      flags: count > 0 ? wire.IRQ_EVENTFD_NORESIZE : 0,
      index,
      count,
    });
  }

  /** A range of vectors with a descriptor each, or without any: they then go nowhere. No data and count 0 = all of them. */
  #setIrqs(body: Buffer, fds: number[]): Buffer {
    const { flags, index, start, count } = parsed(wire.irqSet, body);
    if (index !== wire.MSIX_IRQ || start + count > this.#function.vectors) throw new Refusal(EINVAL);
    const { interrupts } = this.#slot;
    if (flags === (wire.IRQ_ACTION_TRIGGER | wire.IRQ_DATA_NONE) && count === 0) interrupts.clear();
    else if (flags === (wire.IRQ_ACTION_TRIGGER | wire.IRQ_DATA_EVENTFD)) {
      for (let vector = start; vector < start + count; vector += 1) interrupts.set(vector, fds.shift());
    } else throw new Refusal(EINVAL);
    return Buffer.alloc(0);
  }

  #readRegion(body: Buffer): Buffer {
    const { offset, region, count } = parsed(wire.regionAccess, body);
    const data = this.#regionFor(region, offset, count).read(Number(offset), count);
    return Buffer.concat([wire.regionAccess.encode({ offset, region, count }), data]);
  }

  #writeRegion(body: Buffer): Buffer {
    const { offset, region, count } = parsed(wire.regionAccess, body);
    const data = body.subarray(wire.regionAccess.size);
    if (data.length !== count) throw new Refusal(EINVAL);
    this.#regionFor(region, offset, count).write(Number(offset), data);
    return wire.regionAccess.encode({ offset, region, count });
  }

  #regionFor(index: number, offset: bigint, count: number): Bar {
    const region = this.#region(index);
    const isInside =
      region !== undefined && count <= wire.longestAccess && offset + BigInt(count) <= BigInt(region.size);
    if (!isInside) throw new Refusal(EINVAL);
    return region;
  }

  #reset(): Buffer {
    this.#function.reset();
    return Buffer.alloc(0);
  }

  #nonsense(problem: string): Error {
    return serverError('PROTOCOL', { function: this.#function.name, problem });
  }
}
