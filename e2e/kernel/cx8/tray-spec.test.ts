import { describe, expect, it } from 'vitest';
import { readTraySpec } from './tray-spec.ts';
import { smallTray } from './tray.fixture.ts';

const withNics = (...nics: unknown[]) => ({ ...smallTray(), nics });

describe('the description of a tray', () => {
  it('is read as it is written, and what a NIC leaves out is that of a ConnectX-8 PF', () => {
    const { nics, ...rest } = smallTray();
    const brief = nics.map(({ function: _function, capabilities: _capabilities, ...nic }) => nic);
    expect(readTraySpec(JSON.parse(JSON.stringify({ ...rest, nics: brief })))).toEqual(smallTray());
  });

  const [first, second] = smallTray().nics;
  const wrong: Readonly<Record<string, [json: unknown, complaint: string]>> = {
    'is no object': ['tray', '$: '],
    'lacks a part': [{ nics: [], dmaFunctions: [] }, '$.gpus: '],
    'has a part that nobody knows': [{ ...smallTray(), disks: [] }, '$: Unrecognized key: "disks"'],
    'names a function like a path': [
      withNics({ ...first, name: '../nic' }),
      '$.nics.0.name: a name of lower-case letters, digits and -',
    ],
    'names two functions alike': [
      { ...smallTray(), gpus: [{ name: 'nic0' }] },
      '$: a name for each function (nic0 is there twice)',
    ],
    'gives two NICs one LID': [withNics(first, { ...second, lid: 7 }), '$.nics: a LID for each NIC (given: 7, 7)'],
    'gives a NIC a LID that means a group': [withNics({ ...first, lid: 0xc000 }), '$.nics.0.lid: '],
    'gives a NIC a DMA function that is not there': [
      withNics(first, { ...second, dmaFunction: 'dma7' }),
      '$.nics.1.dmaFunction: a DMA function of this tray (not dma7)',
    ],
    'has a VUID longer than the firmware can answer': [
      withNics({ ...first, vuid: 'V'.repeat(129) }),
      '$.nics.0.vuid: a VUID of 1 to 128 printable characters',
    ],
    'has a VPD that is no base64': [withNics({ ...first, vpd: 'not base64!' }), '$.nics.0.vpd: base64 of a VPD image'],
    'has a VPD longer than can be addressed': [withNics({ ...first, vpd: 'A'.repeat(44_004) }), '$.nics.0.vpd: '],
    'has a kind of function that is not emulated': [withNics({ ...first, function: 'SF' }), '$.nics.0.function: '],
    'has a capability that the model does not know': [
      withNics({ ...first, capabilities: { fly: 1 } }),
      '$.nics.0.capabilities.fly: ',
    ],
    'has a capability with a value below zero': [
      withNics({ ...first, capabilities: { data_direct: -1 } }),
      '$.nics.0.capabilities.data_direct: ',
    ],
  };
  for (const [what, [json, complaint]] of Object.entries(wrong)) {
    it(`that ${what} is refused by place and reason`, () => {
      expect(() => readTraySpec(json)).toThrow(
        expect.objectContaining({ code: 'TRAY_INVALID', message: expect.stringContaining(`tray: ${complaint}`) }),
      );
    });
  }
});
