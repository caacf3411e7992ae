// The errors of this room, and how any error is told.

export type ProcessErrorCode =
  // What a person wrote has to be changed.
  'COMMAND_LINE_INVALID' | 'CONFIG_UNREADABLE' | 'CONFIG_INVALID' | 'ENVIRONMENT_INCOMPLETE' | 'CERTIFICATE_UNUSABLE';

export class ProcessError extends Error {
  readonly code: ProcessErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: ProcessErrorCode, sentence: string, fields: Record<string, unknown>, cause?: unknown) {
    super(sentence, cause === undefined ? {} : { cause });
    this.name = 'ProcessError';
    this.code = code;
    this.fields = fields;
  }
}

/** One sentence of any thrown thing, with what lies behind it. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${sentenceOf(error.cause)}`;
}
