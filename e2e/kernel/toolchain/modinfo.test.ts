import { describe, expect, it } from 'vitest';
import { moduleName, readModinfo } from './modinfo.ts';

/** Elf64_Shdr. */
function section(name: number, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(name, 0);
  bytes.writeBigUInt64LE(BigInt(offset), 0x18);
  bytes.writeBigUInt64LE(BigInt(size), 0x20);
  return bytes;
}

/** An ELF file of two sections: .modinfo and the names of both (elf(5)). */
function moduleOf(modinfo: string): Buffer {
  const names = Buffer.from('\0.modinfo\0.shstrtab\0');
  const content = Buffer.from(modinfo, 'latin1');
  const headersAt = 64 + content.length + names.length;
  const header = Buffer.alloc(64);
  header.writeBigUInt64LE(BigInt(headersAt), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(3, 0x3c);
  header.writeUInt16LE(2, 0x3e);
  const sections = [section(0, 0, 0), section(1, 64, content.length), section(10, 64 + content.length, names.length)];
  return Buffer.concat([header, content, names, ...sections]);
}

const text = 'license=GPL\0depends=ib_core,pci-hyperv-intf\0alias=pci:v000015B3d00001023*\0alias=other\0';

describe('a kernel module', () => {
  it('says what it depends on, by module names', () => {
    expect(readModinfo(moduleOf(text), 'mlx5_core.ko').depends).toEqual(['ib_core', 'pci_hyperv_intf']);
    expect(moduleName('pci-hyperv-intf')).toBe('pci_hyperv_intf');
  });

  it('says by which names it is asked for', () => {
    expect(readModinfo(moduleOf(text), 'mlx5_core.ko').aliases).toEqual(['pci:v000015B3d00001023*', 'other']);
  });

  it('may depend on nothing', () => {
    expect(readModinfo(moduleOf('depends=\0'), 'ib_core.ko')).toEqual({ depends: [], aliases: [] });
  });

  it.each([
    ['is cut off', moduleOf(text).subarray(0, 120)],
    ['is empty', Buffer.alloc(0)],
    ['has no .modinfo', Buffer.from(moduleOf(text).toString('latin1').replace('.modinfo', '.nothing'), 'latin1')],
  ])('that %s is refused by its name', (_, bytes) => {
    expect(() => readModinfo(bytes, 'broken.ko')).toThrow(/^broken\.ko is not a kernel module we can read/);
  });
});
