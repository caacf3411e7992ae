// What the virtual machine needs to know of a PCI function's identity and configuration space. The user-facing reader is pci/, not this.

/** The ids in a PCI modalias: the kernel prints vendor, device and class files from the same numbers. */
export interface PciIds {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly class: number;
}

export const MODALIAS =
  /^pci:v([0-9A-F]{8})d([0-9A-F]{8})sv([0-9A-F]{8})sd([0-9A-F]{8})bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})$/;

export function idsOf(modalias: string): PciIds {
  const [, vendor = '', device = '', subsystemVendor = '', subsystemDevice = '', base = '', sub = '', interface_ = ''] =
    MODALIAS.exec(modalias) ?? [];
  return {
    vendor: Number.parseInt(vendor, 16),
    device: Number.parseInt(device, 16),
    subsystemVendor: Number.parseInt(subsystemVendor, 16),
    subsystemDevice: Number.parseInt(subsystemDevice, 16),
    class: Number.parseInt(base + sub + interface_, 16),
  };
}

/** Extended capability ids (include/uapi/linux/pci_regs.h). */
const ACS = 0x0d;
const SRIOV = 0x10;

/** Offset of an extended capability; undefined when there is none. */
function extendedCapability(config: Buffer, id: number): number | undefined {
  const seen = new Set<number>();
  let at = 0x100;
  while (at >= 0x100 && at + 4 <= config.length && !seen.has(at)) {
    seen.add(at);
    const header = config.readUInt32LE(at);
    if (header === 0 || header === 0xffffffff) return undefined;
    if ((header & 0xffff) === id) return at;
    at = (header >>> 20) & 0xffc;
  }
  return undefined;
}

/** Writes the ACS control register (offset 6); false when the function has none. */
export function setAcsControl(config: Buffer, bits: number): boolean {
  const at = extendedCapability(config, ACS);
  if (at === undefined) return false;
  config.writeUInt16LE(bits, at + 6);
  return true;
}

/** Routing ids (bus, device and function in 16 bits) of the VFs that a PF has enabled: first offset and stride of its SR-IOV capability. */
export function virtualFunctions(config: Buffer, routingId: number): number[] {
  const at = extendedCapability(config, SRIOV);
  if (at === undefined || at + 0x18 > config.length) return [];
  const enabled = (config.readUInt16LE(at + 0x08) & 1) === 1;
  const count = enabled ? config.readUInt16LE(at + 0x10) : 0;
  const first = config.readUInt16LE(at + 0x14);
  const stride = config.readUInt16LE(at + 0x16);
  return Array.from({ length: count }, (_, index) => routingId + first + index * stride);
}
