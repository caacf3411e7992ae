// Where a command's words go. One that ends by itself writes at once and waits for its reader, as most programs do: to set up Node's streams takes
// longer than to read a small node. One that lasts must not wait, because signals are told to it meanwhile, so it writes to the streams.
import { writeSync } from 'node:fs';

import { leave } from '../host/leave.ts';
import { EXIT } from './command.ts';

export type Output = 1 | 2;

let streaming = false;

export function write(fd: Output, text: string): void {
  if (streaming) return void streamOf(fd).write(text);
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A reader that has seen enough, such as head, is no failure.
    if (code === 'EPIPE') leave(EXIT.done);
    if (code !== 'EAGAIN') throw error;
    // The pipe is full, and somebody who has it too wants no one to wait for it.
    writeToStreams();
    streamOf(fd).write(rest);
  }
}

export function writeToStreams(): void {
  if (!streaming) process.stdout.on('error', () => leave(EXIT.done));
  streaming = true;
}

/** Once its readers have taken everything. A pipe holds 64 KiB; what is more waits in this process. */
export async function written(): Promise<void> {
  if (!streaming) return;
  for (const fd of [1, 2] as const) await new Promise<void>((resolve) => void streamOf(fd).write('', () => resolve()));
}

function streamOf(fd: Output): NodeJS.WriteStream {
  return fd === 1 ? process.stdout : process.stderr;
}
