// What the virtual server says no with.

const reasons: Record<number, string> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Expired',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

export interface Refused {
  status: number;
  reason?: string;
  message?: string;
  retryAfterSeconds?: number;
}

export class Refusal extends Error {
  readonly refused: Refused;

  constructor(status: number, message: string, reason?: string) {
    super(message);
    this.refused = { status, message, ...(reason !== undefined && { reason }) };
  }
}

/** metav1.Status. */
export function statusObject({ status, reason, message, retryAfterSeconds }: Refused): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: message ?? `made to fail with ${status}`,
    reason: reason ?? reasons[status] ?? '',
    ...(retryAfterSeconds !== undefined && { details: { retryAfterSeconds } }),
    code: status,
  };
}
