// The spec from a file of the same schema as DataDirectNode.spec, for a site without the operator. No API server is contacted; what
// the agent finds is in its metrics and its log.
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import type { DataDirectNodeStatus } from '@data-direct/crds';
import { readJson } from '@data-direct/process';

import type { FollowedSpec, NodeObject, OnTrouble } from './node-object.ts';
import { nodeSpec } from './node-spec.ts';

export class SpecFile implements NodeObject {
  readonly #file: string;
  readonly #onTrouble: OnTrouble;
  #followed: FollowedSpec;
  #status: DataDirectNodeStatus | undefined;
  #watcher: FSWatcher | undefined;

  /** Throws CONFIG_UNREADABLE or SPEC_INVALID: a file that does not fit stops the start. */
  constructor(file: string, onTrouble: OnTrouble) {
    this.#file = file;
    this.#onTrouble = onTrouble;
    this.#followed = this.#read();
  }

  start(onChange: () => void): void {
    const look = (): void => {
      if (this.#hasChanged()) onChange();
    };
    try {
      // The directory: a ConfigMap is changed by turning the symbolic link ..data, and editors replace files.
      this.#watcher = watch(dirname(this.#file), look);
      this.#watcher.on('error', (error) => this.#onTrouble('spec', error));
    } catch (error) {
      this.#onTrouble('spec', error); // no inotify instance left: changes wait for a restart
    }
  }

  spec(): FollowedSpec {
    return this.#followed;
  }

  status(): DataDirectNodeStatus | undefined {
    return this.#status;
  }

  report(status: DataDirectNodeStatus): void {
    this.#status = status;
  }

  /** Nobody says it without an API server. */
  kubeletVersion(): undefined {}

  /** The log has it already, and nobody else listens here. */
  warn(): void {}

  stop(): Promise<void> {
    this.#watcher?.close();
    return Promise.resolve();
  }

  /** What cannot be used is told, and what was read before goes on. */
  #hasChanged(): boolean {
    try {
      const before = this.#followed;
      this.#followed = this.#read();
      return !isDeepStrictEqual(before, this.#followed);
    } catch (error) {
      this.#onTrouble('spec', error);
      return false;
    }
  }

  #read(): FollowedSpec {
    return { spec: nodeSpec(readJson(this.#file), this.#file, { unknownFields: 'refuse' }), generation: undefined };
  }
}
