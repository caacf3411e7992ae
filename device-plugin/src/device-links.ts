// Links to the device nodes of paths: the kubelet is answered with these. It replays that answer at every start of a container, after a
// boot that numbered uverbs anew too, and the container runtime resolves a link at each start: whatever the path's node is called by then,
// the container gets it and nobody else's. Why not CDI alone: docs/adr/0014.
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import type { Path } from '@data-direct/driver-core';

import type { HostPath } from './allocation/device-specs.ts';
import type { Assignment } from './pool.ts';

export interface DeviceLinksOptions {
  /** On the node's own disk, under the same path for us and for the container runtime. */
  readonly directory: string;
  /** The node's /dev, or a virtual host's. */
  readonly deviceDir: string;
  /** Ids of paths that containers hold; undefined where that cannot be told. */
  readonly held: () => Promise<ReadonlySet<string> | undefined>;
  readonly onTrouble: (error: unknown) => void;
}

/** Link to node: such as 0000:03:00.0-uverbs and uverbs0. */
type Links = ReadonlyMap<string, string>;

export class DeviceLinks {
  readonly #options: DeviceLinksOptions;
  #hostPath: HostPath = (node) => this.#node(node);

  constructor(options: DeviceLinksOptions) {
    this.#options = options;
  }

  /**
   * What a container runtime shall open for a node such as uverbs0: the link, or the node itself where there is none. Another function once
   * links were published.
   */
  get hostPath(): HostPath {
    return this.#hostPath;
  }

  /** A path that left its resource keeps its links while a container holds it; one whose node is gone has none, and no start by it. */
  async publish({ pools, paths }: Assignment): Promise<void> {
    try {
      const before = this.#read();
      const wanted = await this.#wanted(
        pools.flatMap((pool) => pool.paths),
        paths,
        before,
      );
      for (const [link, node] of wanted) if (before.get(link) !== this.#node(node)) this.#write(link, node);
      for (const link of before.keys()) if (!wanted.has(link)) rmSync(this.#file(link), { force: true });
      if (before.size > 0 && wanted.size === 0) rmdirSync(this.#options.directory);
      const byNode = new Map([...wanted].map(([link, node]) => [node, this.#file(link)]));
      this.#hostPath = (node) => byNode.get(node) ?? this.#node(node);
    } catch (error) {
      this.#hostPath = (node) => this.#node(node);
      this.#options.onTrouble(error);
    }
  }

  async #wanted(pooled: readonly Path[], node: readonly Path[], before: Links): Promise<Links> {
    const wanted = linksOf(pooled);
    if ([...before.keys()].every((link) => wanted.has(link))) return wanted;
    const held = await this.#options.held();
    const others = linksOf(node.filter(({ id }) => held?.has(id) ?? true));
    return new Map([...wanted, ...[...others].filter(([link]) => before.has(link))]);
  }

  #read(): Links {
    const { directory } = this.#options;
    let names: string[];
    try {
      names = readdirSync(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
      throw error;
    }
    return new Map(names.map((name) => [name, targetOf(this.#file(name))]));
  }

  #write(link: string, node: string): void {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    const part = this.#file(`${link}.new`);
    rmSync(part, { force: true });
    symlinkSync(this.#node(node), part);
    renameSync(part, this.#file(link));
  }

  #file(link: string): string {
    return join(this.#options.directory, link);
  }

  #node(name: string): string {
    return `${this.#options.deviceDir}/infiniband/${name}`;
  }
}

/** Of what a path has at the moment. rdma_cm is one for all, and never called otherwise. */
function linksOf(paths: readonly Path[]): Map<string, string> {
  return new Map(
    paths.flatMap(({ id, nic: { uverbs, umad } }) => [
      ...(uverbs === undefined ? [] : [[`${id}-uverbs`, uverbs] as const]),
      ...umad.map((name, index) => [`${id}-umad${index}`, name] as const),
    ]),
  );
}

/** Empty for what is no link. */
function targetOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
