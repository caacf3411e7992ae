// The errors of this room: a stable code, the fields it is about, one sentence that says what to do. Errors of the API server are KubeErrors.

export type OperatorErrorCode =
  // Uninstalling can be tried again.
  'RETIRE_NOT_ALONE' | 'RETIRE_INTERRUPTED';

export class OperatorError extends Error {
  readonly code: OperatorErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: OperatorErrorCode, sentence: string, fields: Record<string, unknown>, options?: ErrorOptions) {
    super(sentence, options);
    this.name = 'OperatorError';
    this.code = code;
    this.fields = fields;
  }
}
