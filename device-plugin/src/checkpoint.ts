// The last spec on disk, so that a node serves its paths after a restart without an API server. Written whole or not at all.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import type { DataDirectNodeSpec } from '@data-direct/crds';

import { AgentError } from './errors.ts';
import { nodeSpec } from './node-spec.ts';

/** Of the file's layout. One that is newer than we know is not touched: a downgrade must not misread it. */
const VERSION = 1;

export class Checkpoint {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined where there is none. Throws CHECKPOINT_DAMAGED; the next write replaces the file. */
  read(): DataDirectNodeSpec | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#damaged('it cannot be read', error);
    }
    return this.#parse(text);
  }

  /** Throws what the file system says, such as ENOSPC. */
  write(spec: DataDirectNodeSpec): void {
    const part = `${this.#file}.new`;
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(part, JSON.stringify({ version: VERSION, sha256: digest(spec), spec }), { mode: 0o600, flush: true });
    renameSync(part, this.#file);
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }

  #parse(text: string): DataDirectNodeSpec {
    let document: { version?: unknown; sha256?: unknown; spec?: unknown };
    try {
      document = JSON.parse(text) as typeof document;
    } catch (error) {
      throw this.#damaged('it is no JSON', error);
    }
    if (document?.version !== VERSION)
      throw this.#damaged(`its version is ${JSON.stringify(document?.version)}, expected ${VERSION}`);
    if (document.sha256 !== digest(document.spec)) throw this.#damaged('its checksum does not fit its content');
    try {
      return nodeSpec(document.spec, this.#file, { unknownFields: 'drop' });
    } catch (error) {
      throw this.#damaged('its spec is none', error);
    }
  }

  #damaged(what: string, cause?: unknown): AgentError {
    const sentence = `checkpoint ${this.#file} is not used: ${what}; it is written anew with the next spec`;
    return new AgentError('CHECKPOINT_DAMAGED', sentence, { file: this.#file }, cause);
  }
}

function digest(spec: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(spec) ?? '')
    .digest('hex');
}
