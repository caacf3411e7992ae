// A line of busybox's shell.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What the line wrote to its standard output; an error with all it wrote where a command of it fails. */
export async function shell(line: string): Promise<string> {
  return (await execute('/bin/sh', ['-ec', line], { maxBuffer: 64 * 1024 * 1024 })).stdout;
}
