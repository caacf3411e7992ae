// rdma_topo as a process that answers one question after the other. What its words mean is answer.ts.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const driver = fileURLToPath(new URL('ask.py', import.meta.url));

/** How one run of rdma_topo ended. */
export interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export class RdmaTopo {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  /** `program` is the file rdma_topo. */
  constructor(program: string) {
    this.#process = spawn('python3', [driver, program], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#process.stdout);
    this.#ended = once(this.#process, 'exit').then(([status]) => {
      throw new Error(`rdma_topo's interpreter exited with ${status}`);
    });
    this.#ended.catch(() => undefined); // met by whoever asks next
  }

  /** `devices` is a directory like /sys/bus/pci/devices. One question at a time. */
  async ask(devices: string, words: readonly string[]): Promise<Run> {
    const answered = once(this.#lines, 'line');
    this.#process.stdin.write(`${JSON.stringify({ devices, arguments: words })}\n`);
    const [line] = (await Promise.race([answered, this.#ended])) as [string];
    return JSON.parse(line) as Run;
  }

  async close(): Promise<void> {
    this.#process.stdin.end();
    await this.#ended.catch(() => undefined);
  }
}
