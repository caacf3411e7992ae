// What an errno means at each verbs call. Data only; path/assess.ts turns it into a path's reason and sentence.
import type { PathReason } from '@data-direct/crds';

import { Errno } from '../host/host.ts';

/** On the health path. */
export type VerbsCall =
  'open' | 'GET_CONTEXT' | 'GET_DATA_DIRECT_SYSFS_PATH' | 'ALLOC_PD' | 'REG_DMABUF_MR probe' | 'REG_DMABUF_MR';

/** On the way to an explanation: whatever is answered here, it only means that firmware has not said anything. */
export type FirmwareCommand = 'QUERY_HCA_CAP' | 'QUERY_VUID';
type FirmwareCall = 'GET_CONTEXT with DEVX' | FirmwareCommand;

/** The first call of a sequence that the kernel refused. */
export class Refusal {
  readonly call: VerbsCall | FirmwareCall;
  readonly errno: Errno;
  constructor(call: VerbsCall | FirmwareCall, errno: Errno) {
    this.call = call;
    this.errno = errno;
  }
}

/** For an answer that no kernel gives (a path without end, a path that names no function): treated as a refusal that we do not know. */
export function malformed(call: VerbsCall, what: string): Refusal {
  return new Refusal(call, new Errno('EBADMSG', 74, what));
}

export interface Meaning {
  readonly reason: PathReason;
  readonly says: string;
}

const gone: Meaning = { reason: 'WaitingForDriver', says: 'the RDMA device went away while it was asked' };
const tooOld = (what: string): Meaning => ({
  reason: 'KernelTooOld',
  says: `the kernel's mlx5_ib does not know ${what}`,
});
const unasked = (says: string): Meaning => ({ reason: 'KernelRefused', says });
const failed = (says: string): Meaning => ({ reason: 'RegistrationFailed', says });

/** Answers of the host itself rather than of the kernel (host.ts, Files.readSlow): meant alike at every call. */
const ANYWHERE: Readonly<Record<string, Meaning>> = {
  ETIMEDOUT: { reason: 'DeviceUnresponsive', says: 'the call did not return in time' },
  EBUSY: { reason: 'DeviceUnresponsive', says: 'an earlier call to the device is still blocked' },
  EIO: gone,
};

/**
 * Left out on purpose: ENODEV of GET_DATA_DIRECT_SYSFS_PATH (one errno for four causes, told apart by what sysfs shows)
 * and EBADF of the probe (which is its good answer). Sources: drivers/infiniband/core/uverbs_{main,ioctl}.c,
 * drivers/infiniband/hw/mlx5/{main,mr,std_types}.c, drivers/infiniband/core/umem_dmabuf.c.
 */
const MEANINGS: Readonly<Partial<Record<Refusal['call'], Readonly<Record<string, Meaning>>>>> = {
  open: {
    ENOENT: { reason: 'VerbsNodeMissing', says: 'the device node does not exist' },
    ENXIO: { reason: 'VerbsNodeMissing', says: 'no driver stands behind the device node' },
    ENODEV: { reason: 'VerbsNodeMissing', says: 'no driver stands behind the device node' },
    EACCES: { reason: 'PairingUnverified', says: 'the mode of the device node keeps this process out' },
    EPERM: {
      reason: 'PairingUnverified',
      says: 'the device cgroup of this container, or an RDMA device that belongs to another network namespace, keeps this process out',
    },
  },
  GET_CONTEXT: {
    EAGAIN: {
      reason: 'DeviceUnresponsive',
      says: 'the device is inactive: its driver met a fatal error or is still starting',
    },
    EPROTONOSUPPORT: tooOld('contexts made by ioctl'),
  },
  GET_DATA_DIRECT_SYSFS_PATH: {
    EPROTONOSUPPORT: tooOld('the data direct pairing (Linux 6.12)'),
    EINVAL: unasked('the file is not open as a context of this driver'),
    ENOMEM: unasked('the kernel had no memory for the answer'),
    ENOSPC: unasked('the path of the DMA function is longer than PATH_MAX'),
  },
  ALLOC_PD: {
    EAGAIN: failed('the RDMA cgroup grants no protection domain'),
  },
  'REG_DMABUF_MR probe': {
    EPROTONOSUPPORT: tooOld('the data direct registration (Linux 6.12)'),
    EINVAL: failed('the kernel had no DMA function bound to this NIC at that moment'),
    EOPNOTSUPP: failed('the kernel is built without dma-buf registration (CONFIG_INFINIBAND_ON_DEMAND_PAGING)'),
    EAGAIN: failed('the RDMA cgroup grants no memory region'),
  },
  REG_DMABUF_MR: {
    EPROTONOSUPPORT: tooOld('the data direct registration (Linux 6.12)'),
    EINVAL: failed(
      'the kernel had no DMA function bound to this NIC at that moment, or the buffer is smaller than announced',
    ),
    EOPNOTSUPP: failed(
      'the firmware has no crossing_vhca_mkey capability, or the address is not aligned to the system page',
    ),
    EBADF: failed('the file descriptor is not an open DMABUF'),
    ENOTSUPP: failed('the exporter of the DMABUF refused the DMA function: their iommu groups differ'),
    EAGAIN: failed('the RDMA cgroup grants no memory region'),
  },
};

/** Undefined: this errno has no meaning at this call, and the reader should see its number. */
export function meaning({ call, errno }: Refusal): Meaning | undefined {
  return MEANINGS[call]?.[errno.code] ?? ANYWHERE[errno.code];
}

/** Why firmware has not said anything, for a sentence; its own refusals explain themselves (firmware.ts). */
const UNHEARD: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such node',
  EACCES: 'the mode of the node keeps this process out',
  EPERM: 'the device cgroup of this container or another network namespace keeps this process out',
  EINVAL: 'the firmware grants no user contexts (log_max_uctx is 0)',
  EPROTONOSUPPORT: 'the driver has no DEVX',
  EBADMSG: 'the driver does not pass this command on',
  ENXIO: 'the firmware is down',
  ENODEV: 'the device went away',
  EIO: 'the device went away',
};

/** A command or its way was refused: that means unknown, never that the NIC lacks something. */
export function unheard({ call, errno }: Refusal): string {
  const why = errno.code === 'EREMOTEIO' ? errno.what : (UNHEARD[errno.code] ?? errno.what);
  return `${call} answered ${errno.code} (${errno.number}): ${why}`;
}
