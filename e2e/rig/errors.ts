// How a rig refuses or gives up: a stable code and one sentence for each. The table here is of what all rigs do; what
// only one rig can meet is in that rig's own errors.ts.

type Sentences = Readonly<Record<string, (fields: never) => string>>;

/** Anything that was foreseen: its message alone tells a person what is wrong. */
export class RigError extends Error {
  readonly code: string;
  declare readonly fields: object;

  constructor(code: string, fields: object, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RigError';
    this.code = code;
    // Not enumerable: the message holds all of it, and what prints the error would print it twice.
    Object.defineProperty(this, 'fields', { value: fields });
  }
}

/** A maker of errors out of a table of sentences: `throw rigError('LOCK_TIMED_OUT', { file, seconds })`. */
export function errorsOf<S extends Sentences>(sentences: S) {
  return <C extends keyof S & string>(
    code: C,
    fields: Parameters<S[C]>[0] & object,
    options?: ErrorOptions,
  ): RigError => new RigError(code, fields, (sentences[code] as (f: object) => string)(fields), options);
}

export const rigError = errorsOf({
  COMMAND_MISSING: (f: { command: string }) => `${f.command} is not on PATH: install it`,
  COMMAND_FAILED: (f: { command: string; outcome: string; tail: string }) =>
    `${f.command} ${f.outcome}${f.tail === '' ? '' : `:\n${f.tail}`}`,
  LOCK_TIMED_OUT: (f: { file: string; seconds: number }) =>
    `another run held ${f.file} for ${f.seconds} s: wait for it or end it`,
  WAIT_TIMED_OUT: (f: { what: string; seconds: number; last: string }) =>
    `${f.what} did not happen within ${f.seconds} s; last seen: ${f.last}`,
  USAGE: (f: { problem: string; usage: string }) => `${f.problem}\n${f.usage}`,
});
