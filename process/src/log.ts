// The log: one JSON object a line on standard output, written at once so that none is lost when the process ends.
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

import { sentenceOf } from './error.ts';

export type Log = Logger;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `to`: takes each line, in place of standard output. */
export function createLog(level: LogLevel | 'silent', to: { write(line: string): void } = standardOutput()): Log {
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level, base: null, timestamp: stdTimeFunctions.isoTime, formatters }, to);
}

/** What waits to be written while nothing can be; later lines are dropped. */
const MOST_WAITING_BYTES = 256 * 1024;

/** A full disk, or a reader that is gone, is no reason to end: what the process does goes on, and what waited is written with the next line. */
function standardOutput(): ReturnType<typeof destination> {
  const output = destination({ fd: 1, sync: true, maxLength: MOST_WAITING_BYTES });
  output.on('error', () => {}); // there is nobody left to tell
  return output;
}

export interface ErrorFields {
  readonly error: string;
  /** Stable, as all rooms' errors have one. */
  readonly code?: string;
  /** Of an error that nobody foresaw. */
  readonly stack?: string;
}

/** What a log line says of an error: code, the fields it is about, and the sentence. */
export function errorFields(error: unknown): ErrorFields {
  const code = codeOf(error);
  const fields = error instanceof Error && 'fields' in error ? (error.fields as object) : {};
  const stack = error instanceof Error && code === undefined ? error.stack : undefined;
  return {
    ...fields,
    ...(code !== undefined && { code }),
    error: sentenceOf(error),
    ...(stack !== undefined && { stack }),
  };
}

/** `KUBE_TIMEOUT`, `ENOSPC`; undefined for errors without one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
