// Where a command's words go. One that ends by itself writes at once and waits for its reader, as most programs do: to set up Node's streams takes
// longer than to read a small node. One that lasts must not wait, because signals are told to it meanwhile, so it writes to the streams.
import { writeSync } from 'node:fs';

import { leave } from '../host/leave.ts';
import { EXIT } from './command.ts';

export type Output = 1 | 2;

let streaming = false;
/** Whose reader is gone. What a command found counts all the same, so it goes on to its exit code. */
const closed = new Set<Output>();

export function write(fd: Output, text: string): void {
  if (closed.has(fd)) return;
  if (streaming) return void streamOf(fd).write(text);
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EAGAIN') return failed(fd, error as NodeJS.ErrnoException);
    // The pipe is full, and somebody who has it too wants no one to wait for it.
    writeToStreams();
    streamOf(fd).write(rest);
  }
}

/** `closing` is told that nobody reads any more. */
export function writeToStreams(closing: () => void = () => undefined): void {
  if (streaming) return;
  streaming = true;
  for (const fd of [1, 2] as const)
    streamOf(fd).on('error', (error) => {
      failed(fd, error);
      closing();
    });
}

/** A reader that has seen enough, such as head, is no failure; a full disk is, and not to be taken for an answer. */
function failed(fd: Output, error: NodeJS.ErrnoException): void {
  if (closed.has(fd)) return;
  closed.add(fd);
  if (error.code === 'EPIPE') return;
  if (fd === 1) write(2, `the answer could not be written: ${error.message}\n`);
  leave(EXIT.failed);
}

/** Once its readers have taken everything. A pipe holds 64 KiB; what is more waits in this process. */
export async function written(): Promise<void> {
  if (!streaming) return;
  for (const fd of [1, 2] as const) await new Promise<void>((resolve) => void streamOf(fd).write('', () => resolve()));
}

function streamOf(fd: Output): NodeJS.WriteStream {
  return fd === 1 ? process.stdout : process.stderr;
}
