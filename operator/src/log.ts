// The log: one JSON object a line on standard output.
import { isKubeError } from '@data-direct/kube';
import { type Logger, pino, stdTimeFunctions } from 'pino';

import type { Config } from './config.ts';
import { OperatorError } from './error.ts';

export function createLog(level: Config['logLevel']): Logger {
  return pino({
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: told },
  });
}

/** Errors that were foreseen are told in a sentence; of others the stack is wanted too. */
function told(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const foreseen = isKubeError(error) || error instanceof OperatorError;
  return { ...(foreseen ? { code: error.code } : { stack: error.stack }), message: error.message };
}
