// A tray for tests: two NICs, each with its DMA function, and a GPU.
import type { NicSpec, TraySpec } from './tray-spec.ts';

const image = Buffer.from('\x82\x04\0tray\x78', 'latin1').toString('base64');

export function smallTray(): TraySpec {
  return {
    nics: [0, 1].map(nic),
    dmaFunctions: [0, 1].map((index) => ({ name: `dma${index}`, vpd: image })),
    gpus: [{ name: 'gpu0' }],
  };
}

function nic(index: number): NicSpec {
  return {
    name: `nic${index}`,
    vpd: image,
    vuid: `VT1MLNXDATADIRECT${index}`,
    dmaFunction: `dma${index}`,
    lid: 7 + index,
    function: 'PF',
    capabilities: {},
  };
}
