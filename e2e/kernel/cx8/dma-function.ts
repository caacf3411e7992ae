// The DMA function 15b3:2100: no BAR and no interrupt, only an identity, a VPD with the VUID under keyword VU, and the DMA domain
// through which the NIC moves the data of data direct regions.
import { pciExpress, vitalProductData } from './pci/capabilities.ts';
import { ConfigSpace } from './pci/config-space.ts';
import type { PciFunction } from './pci/function.ts';

/** `vpd` is asked for the image each time that the guest reads it. */
export function dmaFunction(name: string, vpd: () => Buffer): PciFunction {
  const identity = {
    vendor: 0x15b3,
    device: 0x2100,
    subsystemVendor: 0x15b3,
    subsystemDevice: 0x0040,
    class: 0x080100,
  };
  const config = new ConfigSpace(identity, [], [pciExpress(), vitalProductData(vpd)]);
  return { name, config, bars: new Map(), vectors: 0, reset: () => config.reset() };
}
