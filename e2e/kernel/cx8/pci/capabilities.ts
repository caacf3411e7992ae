// Capabilities of an endpoint's configuration space: PCI Express, vital product data, MSI-X, ACS (include/uapi/linux/pci_regs.h).

export interface Capability {
  /** Id at 0; the link at 1 is the configuration space's. */
  readonly bytes: Buffer;
  /** 1 = the guest may change this bit. */
  readonly writable: Buffer;
  /** Called after the guest has written to `length` bytes at `offset`; `now` are the capability's bytes. */
  readonly written?: (now: Buffer, offset: number, length: number) => void;
}

export interface ExtendedCapability {
  readonly id: number;
  /** What follows the header dword. */
  readonly bytes: Buffer;
  readonly writable: Buffer;
}

const PCI_EXPRESS = 0x10;
const VPD = 0x03;
const MSIX = 0x11;
const ACS = 0x0d;

/** Version 2, endpoint, trained to 16 lanes of 64 GT/s: what ConnectX-8 is sold as. */
export function pciExpress(): Capability {
  const LINK_64GT_X16 = (16 << 4) | 6;
  const bytes = Buffer.alloc(0x3c);
  bytes.writeUInt8(PCI_EXPRESS, 0);
  bytes.writeUInt16LE(2, 0x02);
  bytes.writeUInt32LE(0x0000_8021, 0x04); // device: role-based errors, extended tags, payload up to 256 bytes
  bytes.writeUInt32LE(LINK_64GT_X16, 0x0c);
  bytes.writeUInt16LE(LINK_64GT_X16, 0x12);
  bytes.writeUInt32LE(0x7e, 0x2c); // link speeds 2.5 to 64 GT/s
  bytes.writeUInt16LE(6, 0x30);
  const writable = Buffer.alloc(bytes.length);
  writable.writeUInt16LE(0x7fff, 0x08);
  writable.writeUInt16LE(0x01c3, 0x10);
  writable.writeUInt16LE(0x07ff, 0x28);
  return { bytes, writable };
}

/** The image is read four bytes at a time: the guest writes an address with flag 0 and waits for flag 1. Writing it is not possible. */
export function vitalProductData(image: () => Buffer): Capability {
  const ADDRESS = 2;
  const DATA = 4;
  const FLAG = 0x8000;
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(VPD, 0);
  const writable = Buffer.alloc(bytes.length);
  writable.writeUInt16LE(0xffff, ADDRESS);
  writable.writeUInt32LE(0xffff_ffff, DATA);
  const written = (now: Buffer, offset: number, length: number): void => {
    const wroteFlag = offset <= ADDRESS + 1 && offset + length > ADDRESS + 1;
    if (!wroteFlag) return;
    const address = now.readUInt16LE(ADDRESS);
    // Flag 1 asks for a write; clearing it says done.
    now.writeUInt16LE(address ^ FLAG, ADDRESS);
    if ((address & FLAG) !== 0) return;
    const four = Buffer.alloc(4);
    image()
      .subarray(address, address + 4)
      .copy(four);
    four.copy(now, DATA);
  };
  return { bytes, writable, written };
}

export interface MsixPlace {
  readonly vectors: number;
  readonly bar: number;
  readonly table: number;
  readonly pending: number;
}

/** QEMU owns table and pending bits and intercepts the guest's access to them. */
export function msix({ vectors, bar, table, pending }: MsixPlace): Capability {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(MSIX, 0);
  bytes.writeUInt16LE(vectors - 1, 2);
  bytes.writeUInt32LE(table | bar, 4);
  bytes.writeUInt32LE(pending | bar, 8);
  const writable = Buffer.alloc(bytes.length);
  writable.writeUInt16LE(0xc000, 2);
  return { bytes, writable };
}

/** Access control between the functions of one device: with it Linux gives each of them an iommu group of its own. */
export function accessControl(): ExtendedCapability {
  const REDIRECTS_AND_DIRECT_TRANSLATED = 0x5c;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(REDIRECTS_AND_DIRECT_TRANSLATED, 0);
  const writable = Buffer.alloc(bytes.length);
  writable.writeUInt16LE(REDIRECTS_AND_DIRECT_TRANSLATED, 2);
  return { id: ACS, bytes, writable };
}
