// The one error of this room. Codes are grouped by what the reader can do about them.

/** What was asked of the server. */
export interface Asked {
  verb: 'get' | 'list' | 'create' | 'delete' | 'patch' | 'apply' | 'watch';
  /** `plural.group`, as kubectl takes it. */
  resource: string;
  namespace?: string;
  name?: string;
}

export type KubeErrorCode =
  // The server answered, and the object or request is at fault: asking again unchanged will not help.
  | 'KUBE_NOT_FOUND'
  | 'KUBE_ALREADY_EXISTS'
  | 'KUBE_CONFLICT'
  | 'KUBE_INVALID'
  | 'KUBE_REFUSED'
  | 'KUBE_UNAUTHORIZED'
  | 'KUBE_FORBIDDEN'
  // The resource version is older than the server remembers: list anew.
  | 'KUBE_GONE'
  // The server is not well: ask again later, after `retryAfterMs` if it said so.
  | 'KUBE_TOO_MANY_REQUESTS'
  | 'KUBE_UNAVAILABLE'
  | 'KUBE_UNREACHABLE'
  | 'KUBE_TIMEOUT'
  | 'KUBE_BAD_ANSWER'
  // Another replica leads, or may: stop acting.
  | 'KUBE_LEADERSHIP_LOST'
  // Nothing of the server's: the caller stopped, a queue is full, or this process is not set up to reach a server.
  | 'KUBE_STOPPED'
  | 'KUBE_QUEUE_FULL'
  | 'KUBE_NOT_CONFIGURED';

export interface KubeErrorFields {
  asked?: Asked;
  /** HTTP status, if the server answered. */
  status?: number;
  /** The `reason` of the server's Status object, such as `AlreadyExists`. */
  reason?: string;
  /** How long the server asked us to wait. */
  retryAfterMs?: number;
  cause?: unknown;
}

export class KubeError extends Error {
  readonly code: KubeErrorCode;
  readonly asked: Asked | undefined;
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: KubeErrorCode, sentence: string, fields: KubeErrorFields = {}) {
    super(
      fields.asked === undefined ? sentence : `${describe(fields.asked)}: ${sentence}`,
      'cause' in fields ? { cause: fields.cause } : {},
    );
    this.name = 'KubeError';
    this.code = code;
    this.asked = fields.asked;
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterMs = fields.retryAfterMs;
  }
}

/** Whether `error` is a KubeError with one of these codes. */
export function isKubeError(error: unknown, ...codes: KubeErrorCode[]): error is KubeError {
  return error instanceof KubeError && (codes.length === 0 || codes.includes(error.code));
}

function describe({ verb, resource, namespace, name }: Asked): string {
  const object = [namespace, name].filter((part) => part !== undefined).join('/');
  return [verb, resource, object].filter((part) => part !== '').join(' ');
}
