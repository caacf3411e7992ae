// The log: JSON lines on standard output, written at once so that none is lost when the process ends.
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

import { AgentError, sentenceOf } from './errors.ts';

export type Log = Logger;

export function createLog(level: string): Log {
  return pino(
    { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination({ fd: 1, sync: true }),
  );
}

/** What a log line says of an error: its code, as all rooms' errors have one, the fields of ours, and the sentence. */
export function errorFields(error: unknown): { readonly code?: string; readonly error: string } {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const fields = error instanceof AgentError ? error.fields : {};
  return { ...code, ...fields, error: sentenceOf(error) };
}
