// A function that looks like a GPU to whoever asks PCI: B300's ids and class, no BAR and no driver. Its memory is not there: a
// region over it cannot be made, one over a udmabuf can.
import { pciExpress } from './pci/capabilities.ts';
import { ConfigSpace } from './pci/config-space.ts';
import type { PciFunction } from './pci/function.ts';

export function gpuFunction(name: string): PciFunction {
  const identity = {
    vendor: 0x10de,
    device: 0x31c2,
    subsystemVendor: 0x10de,
    subsystemDevice: 0x21a9,
    class: 0x030200,
  };
  const config = new ConfigSpace(identity, [], [pciExpress()]);
  return { name, config, bars: new Map(), vectors: 0, reset: () => config.reset() };
}
