// Inside the virtual kernel a refusal travels as an exception and becomes an errno at the system call's edge.
import type { Errno } from '../../host/host.ts';
import { errno } from './errno.ts';
import type { ErrnoName } from './errno.ts';

export class Fault extends Error {
  readonly errno: Errno;
  constructor(refusal: Errno) {
    super(refusal.code);
    this.name = 'Fault';
    this.errno = refusal;
  }
}

export function fail(name: ErrnoName, what: string): never {
  throw new Fault(errno(name, what));
}
