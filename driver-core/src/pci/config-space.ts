// Extended capabilities in the bytes of a function's `config` file: whether ACS and ATS are there and what they say. Pure. What a port's ACS
// should be stands in ports.ts and path/acs.ts.

/** The kernel shows the first 64 bytes to those who are not root (drivers/pci/pci-sysfs.c, pci_read_config). */
const CONVENTIONAL_BYTES = 0x100;
const FIRST_CAPABILITY = 0x100;

/** Extended capability ids (include/uapi/linux/pci_regs.h). */
const ACS = 0x0d;
const ATS = 0x0f;
const ACS_CONTROL = 6;
/** Bits 6..0; the others are reserved or belong to the enhanced capability. */
const ACS_BITS = 0x7f;

/**
 * Why there is no answer: `hidden` from those who are not root, `gone` where the function does not answer its bus any more,
 * `absent` where it has no such capability.
 */
export type Missing = 'hidden' | 'gone' | 'absent';

/** The ACS control bits 6..0 of a port. */
export function acsControl(config: Buffer): number | Missing {
  const at = findCapability(config, ACS);
  if (typeof at !== 'number') return at;
  return at + ACS_CONTROL + 2 <= config.length ? config.readUInt16LE(at + ACS_CONTROL) & ACS_BITS : 'absent';
}

/** Undefined: it cannot be told. */
export function hasAts(config: Buffer): boolean | undefined {
  const at = findCapability(config, ATS);
  if (typeof at === 'number') return true;
  return at === 'absent' ? false : undefined;
}

/** Where it begins. Every capability names the next one; a chain that bites its own tail ends. */
function findCapability(config: Buffer, id: number): number | Missing {
  if (config.length < CONVENTIONAL_BYTES) return 'hidden';
  if (config.readUInt16LE(0) === 0xffff) return 'gone';
  const passed = new Set<number>();
  for (let at = FIRST_CAPABILITY; at >= FIRST_CAPABILITY && at + 4 <= config.length && !passed.has(at);) {
    passed.add(at);
    const header = config.readUInt32LE(at);
    if ((header & 0xffff) === id) return at;
    at = (header >>> 20) & 0xffc;
  }
  return 'absent';
}
