// Our CDI files on the node: one a resource, written whole or not at all, and kept for as long as a container may start again by it.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { GROUP } from '@data-direct/crds';

import type { CdiSpec, Mount } from './allocation/cdi.ts';

/** Ids of paths that containers hold, by kind; undefined where that cannot be told. */
type HeldPaths = () => Promise<ReadonlyMap<string, ReadonlySet<string>> | undefined>;

export interface CdiDirectoryOptions {
  /** Such as /var/run/cdi, where container runtimes look. */
  readonly directory: string;
  readonly held: HeldPaths;
  readonly onTrouble: (error: unknown) => void;
}

/** Vendor and class of the kind, as CDI tools name files. The pattern finds ours again, and nobody else's. */
const fileOf = (kind: string): string => `${kind.replace('/', '-')}.json`;
const OURS = new RegExp(`^${GROUP.replaceAll('.', String.raw`\.`)}-[a-z0-9-]+\\.json$`);

export class CdiDirectory {
  readonly #options: CdiDirectoryOptions;
  #has = among(new Set());

  constructor(options: CdiDirectoryOptions) {
    this.#options = options;
  }

  /**
   * Whether the runtime finds a device by its name; one that nobody finds would keep the container from starting. Another function once
   * files were published.
   */
  get has(): (name: string) => boolean {
    return this.#has;
  }

  /**
   * Makes the files say this, with these mounts for whoever is given a device. What left and is held stays as it was: the kubelet replays
   * names when a container starts again.
   */
  async publish(specs: readonly CdiSpec[], mounts: readonly Mount[] = []): Promise<void> {
    const { directory, onTrouble } = this.#options;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      const before = this.#read();
      const wanted = (await this.#withHeld(specs, before)).map((spec) => withMounts(spec, mounts));
      for (const spec of wanted) this.#write(spec, before);
      for (const [kind] of before)
        if (!wanted.some((spec) => spec.kind === kind)) rmSync(this.#file(kind), { force: true });
      this.#has = among(new Set(wanted.flatMap(({ kind, devices }) => devices.map(({ name }) => `${kind}=${name}`))));
    } catch (error) {
      this.#has = among(new Set());
      onTrouble(error);
    }
  }

  async #withHeld(specs: readonly CdiSpec[], before: ReadonlyMap<string, CdiSpec>): Promise<CdiSpec[]> {
    const leftovers = [...before.values()].map((old) => {
      const now = new Set(specs.find(({ kind }) => kind === old.kind)?.devices.map(({ name }) => name));
      return { ...old, devices: old.devices.filter(({ name }) => !now.has(name)) };
    });
    if (leftovers.every(({ devices }) => devices.length === 0)) return specs.filter(isUseful);
    const held = await this.#options.held();
    const kept = leftovers.map((old) => ({
      ...old,
      devices: old.devices.filter(({ name }) => held?.get(old.kind)?.has(name) ?? held === undefined),
    }));
    const known = new Map(specs.map((spec) => [spec.kind, spec]));
    for (const old of kept) {
      const spec = known.get(old.kind) ?? { ...old, devices: [] };
      known.set(old.kind, { ...spec, devices: [...spec.devices, ...old.devices] });
    }
    return [...known.values()].filter(isUseful);
  }

  /** By kind. A file that is none of ours is left alone, one that is damaged is written anew. */
  #read(): Map<string, CdiSpec> {
    const files = readdirSync(this.#options.directory).filter((name) => OURS.test(name));
    return new Map(files.map((name) => this.#parse(name)).map((spec) => [spec.kind, spec]));
  }

  #parse(name: string): CdiSpec {
    const kind = `${GROUP}/${name.slice(GROUP.length + 1, -'.json'.length)}`;
    const empty = { cdiVersion: '', kind, devices: [] };
    try {
      const spec = JSON.parse(readFileSync(join(this.#options.directory, name), 'utf8')) as CdiSpec;
      return spec.kind === kind && Array.isArray(spec.devices) ? spec : empty;
    } catch {
      return empty;
    }
  }

  #write(spec: CdiSpec, before: ReadonlyMap<string, CdiSpec>): void {
    if (JSON.stringify(before.get(spec.kind)) === JSON.stringify(spec)) return;
    const file = this.#file(spec.kind);
    writeFileSync(`${file}.new`, JSON.stringify(spec)); // runtimes read what ends in .json or .yaml
    renameSync(`${file}.new`, file);
  }

  #file(kind: string): string {
    return join(this.#options.directory, fileOf(kind));
  }
}

function among(names: ReadonlySet<string>): (name: string) => boolean {
  return (name) => names.has(name);
}

/** Those of now alone: files that an old list names may be gone from the node. */
function withMounts({ containerEdits: _old, ...spec }: CdiSpec, mounts: readonly Mount[]): CdiSpec {
  return mounts.length > 0 ? { ...spec, containerEdits: { mounts } } : spec;
}

/** A file without devices is refused by runtimes. */
function isUseful({ devices }: CdiSpec): boolean {
  return devices.length > 0;
}
