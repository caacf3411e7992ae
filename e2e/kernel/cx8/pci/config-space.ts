// Configuration space of an endpoint: identity, BARs that can be sized, and a list of capabilities. The capabilities themselves are in
// capabilities.ts.
import type { Capability, ExtendedCapability } from './capabilities.ts';

export interface Identity {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly class: number;
}

export interface BarShape {
  readonly index: number;
  readonly size: number;
}

const SIZE = 4096;
// include/uapi/linux/pci_regs.h
const COMMAND = 0x04;
const STATUS_HAS_CAPABILITIES = 0x10;
const BAR_64BIT_PREFETCHABLE = 0xc;
const CAPABILITY_LIST = 0x34;
const INTERRUPT_LINE = 0x3c;
const FIRST_CAPABILITY = 0x40;
const FIRST_EXTENDED_CAPABILITY = 0x100;

export class ConfigSpace {
  readonly size = SIZE;
  readonly #bytes = Buffer.alloc(SIZE);
  /** 1 = the guest may change this bit. */
  readonly #writable = Buffer.alloc(SIZE);
  readonly #afterPowerOn: Buffer;
  readonly #capabilities: { at: number; capability: Capability }[] = [];

  constructor(
    identity: Identity,
    bars: readonly BarShape[],
    capabilities: readonly Capability[],
    extended: readonly ExtendedCapability[] = [],
  ) {
    this.#identify(identity);
    for (const bar of bars) this.#addBar(bar);
    this.#addCapabilities(capabilities);
    this.#addExtended(extended);
    this.#writable.writeUInt16LE(0x0547, COMMAND);
    this.#writable.writeUInt8(0xff, INTERRUPT_LINE);
    this.#afterPowerOn = Buffer.from(this.#bytes);
  }

  reset(): void {
    this.#afterPowerOn.copy(this.#bytes);
  }

  read(offset: number, length: number): Buffer {
    return Buffer.from(this.#bytes.subarray(offset, offset + length));
  }

  write(offset: number, data: Buffer): void {
    for (const [index, value] of data.entries()) {
      const mask = this.#writable[offset + index] ?? 0;
      this.#bytes[offset + index] = ((this.#bytes[offset + index] ?? 0) & ~mask) | (value & mask);
    }
    for (const { at, capability } of this.#capabilities) {
      const inside = offset < at + capability.bytes.length && offset + data.length > at;
      if (inside)
        capability.written?.(this.#bytes.subarray(at, at + capability.bytes.length), offset - at, data.length);
    }
  }

  #identify({ vendor, device, subsystemVendor, subsystemDevice, class: code }: Identity): void {
    this.#bytes.writeUInt16LE(vendor, 0x00);
    this.#bytes.writeUInt16LE(device, 0x02);
    this.#bytes.writeUInt16LE(STATUS_HAS_CAPABILITIES, 0x06);
    this.#bytes.writeUIntLE(code, 0x09, 3);
    this.#bytes.writeUInt16LE(subsystemVendor, 0x2c);
    this.#bytes.writeUInt16LE(subsystemDevice, 0x2e);
  }

  /** Sizing is the writable address bits: the guest writes ones and reads back those that exist. */
  #addBar({ index, size }: BarShape): void {
    const at = 0x10 + index * 4;
    this.#bytes.writeUInt32LE(BAR_64BIT_PREFETCHABLE, at);
    this.#writable.writeBigUInt64LE(BigInt.asUintN(64, ~BigInt(size - 1)) & ~0xfn, at);
  }

  #addCapabilities(capabilities: readonly Capability[]): void {
    let at = FIRST_CAPABILITY;
    let link = CAPABILITY_LIST;
    for (const capability of capabilities) {
      this.#bytes.writeUInt8(at, link);
      capability.bytes.copy(this.#bytes, at);
      capability.writable.copy(this.#writable, at);
      this.#capabilities.push({ at, capability });
      link = at + 1;
      this.#bytes.writeUInt8(0, link);
      at += Math.ceil(capability.bytes.length / 4) * 4;
    }
  }

  /** Header dword: id, version 1, next; an empty list is a zero dword. */
  #addExtended(capabilities: readonly ExtendedCapability[]): void {
    let at = FIRST_EXTENDED_CAPABILITY;
    for (const [index, { id, bytes, writable }] of capabilities.entries()) {
      const next = index + 1 < capabilities.length ? at + 4 + bytes.length : 0;
      this.#bytes.writeUInt32LE((id | (1 << 16) | (next << 20)) >>> 0, at);
      bytes.copy(this.#bytes, at + 4);
      writable.copy(this.#writable, at + 4);
      at += 4 + bytes.length;
    }
  }
}
