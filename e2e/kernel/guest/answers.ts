// Answers of driver-core as one word, for tables of what was expected.

import { Errno } from '../../../driver-core/src/host/host.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';

/** The errno's name, or `ok` for any value. */
export function code(answer: unknown): string {
  if (answer instanceof Refusal) return answer.errno.code;
  return answer instanceof Errno ? answer.code : 'ok';
}

/** For what is only the way to what a case asks. */
export function must<T>(answer: T): Exclude<T, Errno | Refusal> {
  if (answer instanceof Errno || answer instanceof Refusal)
    throw new Error(`this has to work, and was answered ${code(answer)}`);
  return answer as Exclude<T, Errno | Refusal>;
}
