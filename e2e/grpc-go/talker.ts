// A program that is told things and tells things, a line of JSON each.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Longer than anything takes that it is asked for. */
const PATIENCE_MS = 20_000;
const LONGEST_MS = 60_000;

export class Talker<Word extends object> {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #told: Word[] = [];
  #news = Promise.withResolvers<void>();
  #read = 0;

  constructor(program: string, directory: string) {
    this.#child = spawn(program, [directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#told.push(JSON.parse(line) as Word);
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
  }

  tell(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** The next word, behind those that were awaited before, for which this holds; those in between are passed over. */
  async next(holds: (word: Word) => boolean): Promise<Word> {
    const late = AbortSignal.timeout(PATIENCE_MS);
    const ended = new Promise<void>((resolve) => late.addEventListener('abort', () => resolve(), { once: true }));
    for (;;) {
      for (; this.#read < this.#told.length; this.#read += 1) {
        const word = this.#told[this.#read];
        if (word === undefined || !holds(word)) continue;
        this.#read += 1;
        return word;
      }
      if (late.aborted)
        throw new Error(`not told within ${PATIENCE_MS} ms; the last was ${JSON.stringify(this.#told.at(-1))}`);
      await Promise.race([this.#news.promise, ended]);
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
