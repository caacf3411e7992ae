// The adapters of one of driver-core's fixtures as a tray, so that a virtual host and a virtual machine can be the same machine.
import type { Fixture } from '@data-direct/driver-core';
import { idsOf } from '../../../driver-core/src/virtual/config-space.ts';
import { readOnlyKeyword } from '../../../driver-core/src/virtual/vpd.ts';
import { serverError } from './errors.ts';
import type { TraySpec } from './tray-spec.ts';

type DumpedFunction = Fixture['functions'][number];

const MELLANOX = 0x15b3;
const NICS: ReadonlySet<number> = new Set([0x1023, 0x101e]);
const DMA_FUNCTION = 0x2100;
const NVIDIA = 0x10de;
/** 3D controller. */
const GPU_CLASS = 0x0302;
const FIRST_LID = 7;

/** Functions are called nic0, nic1 …, dma0 …, gpu0 … in the order of their addresses. */
export function trayOfFixture({ source, functions }: Fixture): TraySpec {
  const withIds = functions.map((one) => ({ one, ids: idsOf(one.modalias) }));
  const choose = (wanted: (ids: ReturnType<typeof idsOf>) => boolean): DumpedFunction[] =>
    withIds.filter(({ ids }) => wanted(ids)).map(({ one }) => one);
  const dmaFunctions = choose(({ vendor, device }) => vendor === MELLANOX && device === DMA_FUNCTION);
  const nics = choose(({ vendor, device }) => vendor === MELLANOX && NICS.has(device));
  const gpus = choose((ids) => ids.vendor === NVIDIA && ids.class >> 8 === GPU_CLASS);
  return {
    nics: nics.map((nic, index) => {
      // The same adapter: the same UUID in both images.
      const own = dmaFunctions.findIndex((one) => keyword(source, one, 'V3') === keyword(source, nic, 'V3'));
      const dmaFunction = dmaFunctions[own];
      if (dmaFunction === undefined) throw unsuitable(source, nic, 'has no DMA function with its V3');
      return {
        name: `nic${index}`,
        vpd: image(source, nic),
        vuid: nic.extension?.vuid ?? keyword(source, dmaFunction, 'VU'),
        dmaFunction: `dma${own}`,
        lid: FIRST_LID + index,
        function: idsOf(nic.modalias).device === 0x1023 ? 'PF' : 'VF',
        capabilities: {},
      };
    }),
    dmaFunctions: dmaFunctions.map((one, index) => ({ name: `dma${index}`, vpd: image(source, one) })),
    gpus: gpus.map((_, index) => ({ name: `gpu${index}` })),
  };
}

function image(source: string, one: DumpedFunction): string {
  if (one.vpd === undefined) throw unsuitable(source, one, 'has no VPD');
  return one.vpd.toString('base64');
}

function keyword(source: string, one: DumpedFunction, name: string): string {
  const value = readOnlyKeyword(one.vpd ?? Buffer.alloc(0), name);
  if (typeof value !== 'string') throw unsuitable(source, one, `has no keyword ${name} in its VPD`);
  return value;
}

function unsuitable(source: string, { address }: DumpedFunction, problem: string): Error {
  return serverError('TRAY_INVALID', { where: `${source}, ${address}`, problem });
}
