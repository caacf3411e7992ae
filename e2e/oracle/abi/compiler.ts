// Asks a C compiler what constant expressions are worth, with headers that are not the machine's own.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../rig/run.ts';

export interface Headers {
  /** Searched before the machine's own. */
  readonly directories: readonly string[];
  /** C text before everything else, such as types that the headers take for granted. */
  readonly before?: string;
  readonly includes: readonly string[];
}

/** The values in the order of the expressions. Names that the headers do not have are an error that quotes the compiler. */
export async function evaluate(headers: Headers, expressions: readonly string[]): Promise<bigint[]> {
  const directory = await mkdtemp(join(tmpdir(), 'data-direct-abi-'));
  try {
    const [source, program] = [join(directory, 'abi.c'), join(directory, 'abi')];
    await writeFile(source, text(headers, expressions));
    const searched = headers.directories.flatMap((each) => ['-isystem', each]);
    await run('gcc', ['-std=gnu11', '-Wall', '-Werror', ...searched, '-o', program, source]);
    const { stdout } = await run(program, []);
    return stdout.trim().split('\n').map(BigInt);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function text({ before = '', includes }: Headers, expressions: readonly string[]): string {
  return [
    before,
    ...['stddef.h', 'stdio.h', ...includes].map((name) => `#include <${name}>`),
    'int main(void) {',
    ...expressions.map((expression) => `  printf("%llu\\n", (unsigned long long)(${expression}));`),
    '}',
    '',
  ].join('\n');
}
