// What a kernel module says of itself (section .modinfo: NUL-separated key=value; include/linux/moduleparam.h).

import { kernelError } from '../errors.ts';

export interface ModuleInfo {
  /** Module names, with underscores. */
  readonly depends: readonly string[];
  readonly aliases: readonly string[];
}

/** Offsets in Elf64_Shdr: sh_name, sh_offset, sh_size. */
const sectionHeader = { name: 0x00, offset: 0x18, size: 0x20 } as const;

export function readModinfo(elf: Buffer, file: string): ModuleInfo {
  const entries = section(elf, '.modinfo', file).toString('latin1').split('\0');
  const values = (key: string): string[] =>
    entries.filter((entry) => entry.startsWith(`${key}=`)).map((entry) => entry.slice(key.length + 1));
  const depends = values('depends').flatMap((list) => list.split(','));
  return { depends: depends.filter((name) => name !== '').map(moduleName), aliases: values('alias') };
}

/** A file may be called pci-hyperv-intf.ko; the module's name has underscores all the same. */
export function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}

/** A section of a 64-bit little-endian ELF file (elf(5)). */
function section(elf: Buffer, wanted: string, file: string): Buffer {
  try {
    const number = (at: number): number => Number(elf.readBigUInt64LE(at));
    const headers = number(0x28);
    const headerSize = elf.readUInt16LE(0x3a);
    const content = (index: number): Buffer => {
      const header = headers + index * headerSize;
      const start = number(header + sectionHeader.offset);
      return elf.subarray(start, start + number(header + sectionHeader.size));
    };
    const names = content(elf.readUInt16LE(0x3e));
    for (let index = 0; index < elf.readUInt16LE(0x3c); index++) {
      const start = elf.readUInt32LE(headers + index * headerSize + sectionHeader.name);
      if (names.toString('latin1', start, names.indexOf(0, start)) === wanted) return content(index);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw kernelError('MODULE_MALFORMED', { file, problem: 'a table in it is cut off' }, { cause: error });
  }
  throw kernelError('MODULE_MALFORMED', { file, problem: `it has no section ${wanted}` });
}
