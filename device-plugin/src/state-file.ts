// One JSON file of the agent's own: written whole or not at all, with a version and a checksum, and refused when it is damaged.
// What is in it is for whoever keeps it: checkpoint.ts, containers/allocations.ts.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { AgentError, type AgentErrorCode } from './errors.ts';

/** Of the file's layout. One that is newer than we know is not touched: a downgrade must not misread it. */
const VERSION = 1;
const DIRECTORY = { recursive: true, mode: 0o700 } as const;
const WHOLE = { mode: 0o600, flush: true } as const;

export interface StateFileOptions<T> {
  readonly file: string;
  /** What a person calls it, such as "checkpoint". */
  readonly name: string;
  readonly damaged: AgentErrorCode;
  /** What happens next, as half a sentence. */
  readonly next: string;
  /** Checks and completes what was read. Throws what is wrong with it. */
  readonly parse: (content: unknown) => T;
}

export class StateFile<T> {
  readonly #options: StateFileOptions<T>;

  constructor(options: StateFileOptions<T>) {
    this.#options = options;
  }

  /** Undefined where there is none. Throws the code of `damaged`; the next write replaces the file. */
  read(): T | undefined {
    let text: string;
    try {
      text = readFileSync(this.#options.file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#damaged('it cannot be read', error);
    }
    return this.#parse(text);
  }

  /** Throws what the file system says, such as ENOSPC; what was there before stays. */
  write(content: T): void {
    const { file, part, document } = this.#written(content);
    mkdirSync(dirname(file), DIRECTORY);
    writeFileSync(part, document, WHOLE);
    renameSync(part, file);
  }

  /** The same, while others are served: a disk may need tens of milliseconds. One at a time. */
  async writeMeanwhile(content: T): Promise<void> {
    const { file, part, document } = this.#written(content);
    await mkdir(dirname(file), DIRECTORY);
    await writeFile(part, document, WHOLE);
    await rename(part, file);
  }

  remove(): void {
    rmSync(this.#options.file, { force: true });
  }

  #written(content: T): { file: string; part: string; document: string } {
    const { file } = this.#options;
    const document = JSON.stringify({ version: VERSION, sha256: digest(content), content });
    return { file, part: `${file}.new`, document };
  }

  #parse(text: string): T {
    let document: { version?: unknown; sha256?: unknown; content?: unknown };
    try {
      document = JSON.parse(text) as typeof document;
    } catch (error) {
      throw this.#damaged('it is no JSON', error);
    }
    if (document?.version !== VERSION)
      throw this.#damaged(`its version is ${JSON.stringify(document?.version)}, expected ${VERSION}`);
    if (document.sha256 !== digest(document.content)) throw this.#damaged('its checksum does not fit its content');
    try {
      return this.#options.parse(document.content);
    } catch (error) {
      throw this.#damaged('its content does not fit', error);
    }
  }

  #damaged(what: string, cause?: unknown): AgentError {
    const { file, name, damaged, next } = this.#options;
    return new AgentError(damaged, `${name} ${file} is not used: ${what}; ${next}`, { file }, cause);
  }
}

function digest(content: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(content) ?? '')
    .digest('hex');
}
