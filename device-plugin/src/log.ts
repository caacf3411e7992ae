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

/** What a log line says of an error: its code and fields if it is one of ours; the sentence is the message. */
export function errorFields(error: unknown): { code?: string; error: string } {
  return error instanceof AgentError
    ? { code: error.code, ...error.fields, error: sentenceOf(error) }
    : { error: sentenceOf(error) };
}
