// Which shared libraries some ELF files need, and theirs, and so on. Where libraries lie is the caller's knowledge.

import type { Elf } from './elf.ts';
import { BuildError } from './errors.ts';

/** Files by path, as far as the walk needs them. */
export interface LibraryDoor {
  readElf(file: string): Promise<Elf | undefined>;
  /** The file of this name, e.g. libc.so.6. */
  find(soname: string): Promise<string | undefined>;
}

/** Library file by soname, of everything that is loaded with `files`. */
export async function neededLibraries(files: readonly string[], door: LibraryDoor): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const waiting = [...files];
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    for (const soname of (await door.readElf(file))?.needed ?? []) {
      if (found.has(soname)) continue;
      const library = await door.find(soname);
      if (library === undefined) throw new BuildError('LIBRARY_NOT_FOUND', { soname, neededBy: file });
      found.set(soname, library);
      waiting.push(library);
    }
  }
  return found;
}
