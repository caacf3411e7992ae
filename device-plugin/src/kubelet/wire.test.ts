import { describe, expect, test } from 'vitest';

import deviceplugin from './generated/deviceplugin_pb.cjs';
import { type ContainerAllocation, devicePlugin } from './protocol.ts';

function asGoogleProtobufReadsIt(containers: readonly ContainerAllocation[]): object[] {
  const bytes = devicePlugin.allocate.responseSerialize(containers);
  return deviceplugin.AllocateResponse.deserializeBinary(bytes).toObject().containerResponsesList;
}

function device(name: string): ContainerAllocation['devices'][number] {
  return { containerPath: `/dev/${name}`, hostPath: `/host/${name}`, permissions: 'rw' };
}

const nothing: ContainerAllocation = { envs: {}, devices: [], cdiDevices: [] };

describe('the answer of Allocate, as google-protobuf reads it', () => {
  test('holds the variables, device nodes and CDI names of each container, in their order', () => {
    const first = {
      envs: { A: '1', B: '' },
      devices: [device('b'), device('a')],
      cdiDevices: ['datadirect.dev/path=0000:03:00.0', 'datadirect.dev/path=0000:01:00.0'],
    };
    expect(asGoogleProtobufReadsIt([first, nothing])).toEqual([
      expect.objectContaining({
        envsMap: [
          ['A', '1'],
          ['B', ''],
        ],
        devicesList: first.devices,
        cdiDevicesList: first.cdiDevices.map((name) => ({ name })),
      }),
      expect.objectContaining({ envsMap: [], devicesList: [], cdiDevicesList: [] }),
    ]);
  });

  test.each([127, 128, 16_383, 16_384, 100_000])('holds a value of %d bytes', (length) => {
    const value = 'x'.repeat(length);
    expect(asGoogleProtobufReadsIt([{ ...nothing, envs: { LONG: value } }])).toMatchObject([
      { envsMap: [['LONG', value]] },
    ]);
  });

  test.each(['é', 'データ', '🧮', '\u0000', '\u007f\u0080'])('holds %j', (value) => {
    expect(asGoogleProtobufReadsIt([{ ...nothing, envs: { [value]: `=${value}` } }])).toMatchObject([
      { envsMap: [[value, `=${value}`]] },
    ]);
  });
});
