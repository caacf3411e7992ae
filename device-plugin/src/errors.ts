// The errors of this room: a stable code, the fields it is about, one sentence that names what, where and what to do.

export type AgentErrorCode =
  // What a person wrote has to be changed.
  | 'SPEC_INVALID'
  // What the kubelet asked for cannot be given.
  | 'DEVICE_UNKNOWN'
  | 'DEVICE_REPEATED'
  | 'DEVICE_UNHEALTHY'
  | 'PATH_NOT_VERIFIED'
  // The node's surroundings: tried again.
  | 'KUBELET_REGISTER_FAILED'
  | 'KUBELET_STREAM_MISSING'
  | 'KUBELET_UNREACHABLE'
  | 'SOCKET_NOT_BOUND'
  // Files of the agent's own.
  | 'CHECKPOINT_DAMAGED'
  | 'ALLOCATIONS_DAMAGED'
  | 'VIRTUAL_DEVICE_NOT_MADE';

export class AgentError extends Error {
  readonly code: AgentErrorCode;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: AgentErrorCode, sentence: string, fields: Record<string, unknown> = {}, cause?: unknown) {
    super(sentence, cause === undefined ? {} : { cause });
    this.name = 'AgentError';
    this.code = code;
    this.fields = fields;
  }
}
