// A read-only file system in memory, with symbolic links that are followed as Linux does. What stands in it is tree.ts.
import { refused } from '../host/host.ts';
import type { Answer, Errno } from '../host/host.ts';
import { errno } from './kernel/errno.ts';

export interface File extends FileOptions {
  readonly kind: 'file';
  readonly content: Buffer;
}
export interface FileOptions {
  /** 0444 unless said. */
  readonly mode?: number;
  /** Reading it reaches this PCI function, and blocks while that is wedged. */
  readonly reaches?: string;
  /** Reading it ends so. */
  readonly fails?: Errno | undefined;
}
interface Link {
  readonly kind: 'link';
  readonly target: string;
  /** As with a directory. */
  readonly identity: string | undefined;
}
export interface Directory {
  readonly kind: 'directory';
  /** Which of several that had this name one after the other, where there can be several. */
  identity?: string;
  readonly entries: Map<string, Entry>;
}
export type Entry = File | Link | Directory;

/** As many links as Linux follows in one path (MAXSYMLINKS). */
const MOST_LINKS = 40;

export class Tree {
  readonly root: Directory = { kind: 'directory', entries: new Map() };

  directory(path: string): Directory {
    let at = this.root;
    for (const name of steps(path)) {
      const next = at.entries.get(name) ?? { kind: 'directory', entries: new Map() };
      if (next.kind !== 'directory') throw new Error(`${path} leads through a ${next.kind}`);
      at.entries.set(name, next);
      at = next;
    }
    return at;
  }

  file(path: string, content: Buffer | string, options: FileOptions = {}): void {
    this.#put(path, {
      kind: 'file',
      content: typeof content === 'string' ? Buffer.from(content) : content,
      ...options,
    });
  }

  /** A link between two places of this tree, written as kernfs does: up to a common ancestor of the target's parent, so its name stands last. */
  link(path: string, to: string, identity?: string): void {
    const from = steps(path).slice(0, -1);
    const target = steps(to);
    const differ = target.findIndex((name, index) => name !== from[index]);
    const shared = differ === -1 ? target.length - 1 : differ;
    const up = from.slice(shared).map(() => '..');
    this.#put(path, { kind: 'link', target: [...up, ...target.slice(shared)].join('/'), identity });
  }

  #put(path: string, entry: Entry): void {
    const names = steps(path);
    const name = names.pop() ?? '';
    this.directory(names.join('/')).entries.set(name, entry);
  }

  /** What stands at the path, and the path behind all links on the way. The last step is followed only when `follow` says so. */
  resolve(path: string, follow: boolean): Answer<{ entry: Entry; path: string }> {
    const ahead = steps(path).toReversed();
    /** From the root's child down to where we are. */
    const behind: { readonly name: string; readonly entry: Entry }[] = [];
    let links = 0;
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      if (name === '..') {
        behind.pop();
        continue;
      }
      const here = behind.at(-1)?.entry ?? this.root;
      if (here.kind !== 'directory') return errno('ENOTDIR', path);
      const entry = here.entries.get(name);
      if (entry === undefined) return errno('ENOENT', path);
      if (entry.kind === 'link' && (ahead.length > 0 || follow)) {
        links += 1;
        if (links > MOST_LINKS) return errno('ELOOP', path);
        ahead.push(...steps(entry.target).toReversed());
      } else behind.push({ name, entry });
    }
    return { entry: behind.at(-1)?.entry ?? this.root, path: behind.map(({ name }) => name).join('/') };
  }

  list(path: string): Answer<string[]> {
    const found = this.resolve(path, true);
    if (refused(found)) return found;
    return found.entry.kind === 'directory' ? [...found.entry.entries.keys()].toSorted() : errno('ENOTDIR', path);
  }

  readLink(path: string): Answer<string> {
    const found = this.resolve(path, false);
    if (refused(found)) return found;
    return found.entry.kind === 'link' ? found.entry.target : errno('EINVAL', path);
  }

  /** What stands for the inode. */
  identity(path: string): Answer<string> {
    const found = this.resolve(path, false);
    if (refused(found)) return found;
    const { entry } = found;
    const own = entry.kind === 'file' ? undefined : entry.identity;
    return `${found.path}#${own ?? ''}`;
  }

  /** The file itself, with what reading it would mean. */
  open(path: string): Answer<File> {
    const found = this.resolve(path, true);
    if (refused(found)) return found;
    return found.entry.kind === 'file' ? found.entry : errno('EISDIR', path);
  }
}

function steps(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
