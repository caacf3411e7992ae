// The vfio-user messages that QEMU 11 sends (docs/interop/vfio-user.rst and hw/vfio-user/protocol.h there): little-endian structures
// behind a header of 16 bytes. What is done with them stands in connection.ts.
import { struct, u16, u32, u64 } from '../../../../driver-core/src/verbs/struct.ts';

export const header = struct('VFIOUserHdr', { id: u16, command: u16, size: u32, flags: u32, error: u32 });

/** Header flags. */
export const REPLY = 1;
export const NO_REPLY_WANTED = 0x10;
export const ERROR = 0x20;

/** The JSON of capabilities follows. */
export const version = struct('VFIOUserVersion', { major: u16, minor: u16 });
export const dmaMap = struct('VFIOUserDMAMap', { argsz: u32, flags: u32, offset: u64, address: u64, size: u64 });
export const dmaUnmap = struct('VFIOUserDMAUnmap', { argsz: u32, flags: u32, address: u64, size: u64 });
export const deviceInfo = struct('vfio_device_info', { argsz: u32, flags: u32, regions: u32, irqs: u32 });
export const regionInfo = struct('vfio_region_info', {
  argsz: u32,
  flags: u32,
  index: u32,
  capOffset: u32,
  size: u64,
  offset: u64,
});
export const irqInfo = struct('vfio_irq_info', { argsz: u32, flags: u32, index: u32, count: u32 });
export const irqSet = struct('vfio_irq_set', { argsz: u32, flags: u32, index: u32, start: u32, count: u32 });
/** The data follow, in a write request and in the reply to a read. */
export const regionAccess = struct('VFIOUserRegionRW', { offset: u64, region: u32, count: u32 });

/** flags of VFIOUserDMAUnmap: everything, whatever the range. */
export const UNMAP_ALL = 2;
/** flags of vfio_device_info: can be reset, is a PCI function. */
export const DEVICE_IS_PCI = 3;
/** flags of vfio_region_info: can be read and written. */
export const REGION_READ_WRITE = 3;
/** flags of vfio_irq_info: signalled by eventfd, count cannot be changed while in use. */
export const IRQ_EVENTFD_NORESIZE = 9;
/** flags of vfio_irq_set: how the trigger is given. */
export const IRQ_DATA_NONE = 1;
export const IRQ_DATA_EVENTFD = 4;
export const IRQ_ACTION_TRIGGER = 0x20;

/** Of a PCI function: BARs are regions 0–5. */
export const REGIONS = 9;
export const CONFIG_REGION = 7;
export const IRQS = 5;
export const MSIX_IRQ = 2;

/** What we let a client send in one message and read in one request. */
export const longestMessage = 65_536;
export const longestAccess = 4096;
/** As many as we promise in VERSION. */
export const mostFdsInMessage = 16;
