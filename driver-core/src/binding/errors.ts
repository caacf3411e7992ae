// What an application that uses data direct can be told. One class; the code says what kind, the sentence what to do.
import type { Errno } from '../host/host.ts';
import type { Refusal } from '../verbs/errors.ts';
import { meaning } from '../verbs/errors.ts';

export type DataDirectErrorCode =
  /** No NIC of this name on the node. */
  | 'NIC_UNKNOWN'
  /** The NIC has no uverbs node: no RDMA device, or ib_uverbs is not loaded. */
  | 'NIC_WITHOUT_VERBS'
  /** The kernel refused a call; `call` and `errno` say which and how. */
  | 'KERNEL_REFUSED'
  /** The DMA function lost and found its driver again and again while a region was registered. */
  | 'BINDING_UNSTABLE';

export class DataDirectError extends Error {
  readonly code: DataDirectErrorCode;
  /** With KERNEL_REFUSED: the call, and the errno by name. */
  readonly call: string | undefined;
  readonly errno: string | undefined;
  constructor(code: DataDirectErrorCode, message: string, refusal?: { readonly call: string; readonly errno: Errno }) {
    super(message);
    this.name = 'DataDirectError';
    this.code = code;
    this.call = refusal?.call;
    this.errno = refusal?.errno.code;
  }
}

export function refusedBy(nic: string, refusal: Refusal): DataDirectError {
  const { call, errno } = refusal;
  const says = meaning(refusal)?.says ?? 'an answer that has no meaning at this call';
  return new DataDirectError(
    'KERNEL_REFUSED',
    `${call} on ${nic} answered ${errno.code} (${errno.number}): ${says}`,
    refusal,
  );
}
