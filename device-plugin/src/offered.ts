// Which of a node's paths may be handed out: those of PCI functions. An SF's are seen and told of, and not offered (docs/adr/0020).
import type { Path } from '@data-direct/driver-core';

export type OfferedPath = Path & { readonly nic: { readonly function: 'PF' | 'VF' } };

export function isOffered(path: Path): path is OfferedPath {
  return path.nic.function !== 'SF';
}

export function notOffered({ id, name }: Path): string {
  return `SF ${name === id ? id : `${name} (${id})`} is not offered to containers: only PFs and VFs are`;
}
