// The guest's RAM as the client hands it over: files (memfd) that are mapped once each and used by any number of DMA maps.
import { fstatSync } from 'node:fs';
import { mapShared } from '../native.ts';

interface MappedFile {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/** All of one client's files; nothing of them may be touched after `release`. */
export class GuestMemory {
  readonly #files = new Map<string, MappedFile>();

  /** The bytes of a file from `offset`; undefined when the file does not have so many, so that no access can fault (SIGBUS). */
  bytesOf(fd: number, offset: bigint, size: bigint): Buffer | undefined {
    const { dev, ino, size: fileSize } = fstatSync(fd);
    if (offset + size > BigInt(fileSize)) return undefined;
    const key = `${dev}:${ino}`;
    const file = this.#files.get(key) ?? mapShared(fd, fileSize);
    this.#files.set(key, file);
    return file.bytes.subarray(Number(offset), Number(offset + size));
  }

  release(): void {
    for (const { release } of this.#files.values()) release();
    this.#files.clear();
  }
}
