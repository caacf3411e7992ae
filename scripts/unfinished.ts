// A reporter that ends what does not end. A test that spins cannot meet its own time limit, because the timer is on the thread that spins, and vitest
// waits for it without a word. Here the file is named and its worker killed, which vitest reports as a failure before it goes on.
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** How often it looks, at most. */
const LOOK_MS = 5_000;

export interface UnfinishedOptions {
  /** How long one test file may take. */
  readonly minutes: number;
}

export default class Unfinished implements Reporter {
  readonly #limitMs: number;
  readonly #since = new Map<string, number>();

  constructor({ minutes }: UnfinishedOptions) {
    this.#limitMs = minutes * 60_000;
  }

  onInit(): void {
    setInterval(() => this.#look(), Math.min(LOOK_MS, this.#limitMs)).unref();
    process.once('SIGTERM', () => {
      this.#tell([...this.#since.keys()], 'had not ended when the run was told to');
      process.exit(143);
    });
  }

  onTestModuleStart({ moduleId }: TestModule): void {
    this.#since.set(moduleId, performance.now());
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.#since.delete(moduleId);
  }

  #look(): void {
    const now = performance.now();
    const late = [...this.#since].filter(([, since]) => now - since > this.#limitMs).map(([moduleId]) => moduleId);
    if (late.length === 0) return;
    this.#tell(late, `has not ended in ${this.#limitMs / 60_000} min; the workers are killed`);
    for (const moduleId of late) this.#since.delete(moduleId);
    for (const worker of children()) process.kill(worker, 'SIGKILL');
  }

  #tell(moduleIds: readonly string[], what: string): void {
    for (const moduleId of moduleIds) process.stderr.write(`${relative(process.cwd(), moduleId)} ${what}\n`);
  }
}

/** Processes that this one has started: vitest's workers. */
function children(): number[] {
  const own = '/proc/self/task';
  return readdirSync(own).flatMap((thread) =>
    readFileSync(`${own}/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
