// One number of ours and the C expression for the same.

import { evaluate, type Headers } from './compiler.ts';

export interface Question {
  readonly what: string;
  readonly expression: string;
  readonly ours: bigint;
}

/** What a C compiler says, by what was asked. */
export async function answers(headers: Headers, asked: readonly Question[]): Promise<Record<string, bigint>> {
  const values = await evaluate(
    headers,
    asked.map(({ expression }) => expression),
  );
  return Object.fromEntries(asked.map(({ what }, index) => [what, values[index] ?? -1n]));
}

export function ownAnswers(asked: readonly Question[]): Record<string, bigint> {
  return Object.fromEntries(asked.map(({ what, ours }) => [what, ours]));
}
