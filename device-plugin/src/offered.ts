// Which of a node's paths may be handed out: those of PCI functions. An SF's are seen and told of, and not offered (docs/adr/0020).
import type { Path } from '@data-direct/driver-core';
import type { Log } from '@data-direct/process';

export type OfferedPath = Path & { readonly nic: { readonly function: 'PF' | 'VF' } };

export function isOffered(path: Path): path is OfferedPath {
  return path.nic.function !== 'SF';
}

/** Tells of each SF once, as long as it is there. */
export class Withheld {
  #told: ReadonlySet<string> = new Set();

  tell(paths: readonly Path[], log: Log): void {
    for (const { id, name } of paths)
      if (!this.#told.has(id)) log.info({ path: id, name }, 'an SF is not offered to containers: only PFs and VFs are');
    this.#told = new Set(paths.map(({ id }) => id));
  }
}
