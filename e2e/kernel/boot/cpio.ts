// An initramfs as the kernel unpacks it: cpio in the "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst).

export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer; readonly executable?: boolean }
  | { readonly kind: 'character device'; readonly path: string; readonly major: number; readonly minor: number };

const fileTypes = { directory: 0o040000, file: 0o100000, 'character device': 0o020000 } as const;

/** Paths without a leading slash; a directory before what is in it. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts = entries.map((entry, index) => record(entry, index + 1));
  const end = record({ kind: 'file', path: 'TRAILER!!!', content: Buffer.alloc(0) }, 0);
  return Buffer.concat([...parts, end]);
}

function record(entry: CpioEntry, inode: number): Buffer {
  const content = entry.kind === 'file' ? entry.content : Buffer.alloc(0);
  const [major, minor] = entry.kind === 'character device' ? [entry.major, entry.minor] : [0, 0];
  const name = Buffer.from(`${entry.path}\0`);
  const links = entry.kind === 'directory' ? 2 : 1;
  const fields = [inode, mode(entry), 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([aligned(Buffer.concat([Buffer.from(header), name])), aligned(content)]);
}

function mode(entry: CpioEntry): number {
  const permissions = entry.kind === 'directory' || (entry.kind === 'file' && entry.executable) ? 0o755 : 0o644;
  return fileTypes[entry.kind] | permissions;
}

function aligned(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}
