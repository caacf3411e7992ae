// Every way in which the virtual host refuses: a stable code and one sentence for each. What the virtual *kernel* refuses is an Errno instead.

const sentences = {
  FIXTURE_UNREADABLE: (f: { file: string; problem: string }) => `${f.file}: ${f.problem}`,
  FIXTURE_INVALID: (f: { file: string; path: string; expected: string; got: string }) =>
    `${f.file}: ${f.path}: expected ${f.expected}, got ${f.got}`,
  DIRECTORY_UNUSABLE: (f: { directory: string; problem: string }) => `${f.directory}: ${f.problem}`,
  DIRECTORY_NOT_EMPTY: (f: { directory: string }) => `${f.directory}: not empty; name an empty or a new directory`,
  CHANGE_INVALID: (f: { change: string; argument: string; expected: string; got: string }) =>
    `${f.change}: ${f.argument}: expected ${f.expected}, got ${f.got}`,
  CHANGE_REFUSED: (f: { change: string; address: string; problem: string }) => `${f.change} ${f.address}: ${f.problem}`,
  CONTROL_IN_USE: (f: { socket: string }) =>
    `${f.socket}: another virtual host already listens there; end it or name another socket`,
  CONTROL_NOT_A_SOCKET: (f: { socket: string }) => `${f.socket}: exists and is not a socket; name another path`,
  CONTROL_UNUSABLE: (f: { socket: string; problem: string }) =>
    `${f.socket}: no socket can be made there (${f.problem}); name another path with --socket`,
  CONTROL_UNREACHABLE: (f: { socket: string; problem: string }) =>
    `${f.socket}: no virtual host answers there (${f.problem}); start the agent with a virtualHost, or name its socket with --socket`,
  CONTROL_MALFORMED: (f: { path: string; expected: string; got: string }) =>
    `control request: ${f.path}: expected ${f.expected}, got ${f.got}`,
  CONTROL_ANSWER: (f: { socket: string; problem: string }) => `${f.socket}: ${f.problem}`,
} as const;

type Sentences = typeof sentences;
export type VirtualErrorCode = keyof Sentences;
type Fields<C extends VirtualErrorCode> = Parameters<Sentences[C]>[0];

export class VirtualError<C extends VirtualErrorCode = VirtualErrorCode> extends Error {
  readonly code: C;
  readonly fields: Fields<C>;

  constructor(code: C, fields: Fields<C>, options?: ErrorOptions) {
    super((sentences[code] as (f: Fields<C>) => string)(fields), options);
    this.name = 'VirtualError';
    this.code = code;
    this.fields = fields;
  }
}
