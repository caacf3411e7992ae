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

function asked(...containers: readonly string[][]): Buffer {
  const requests = containers.map((ids) => new deviceplugin.ContainerAllocateRequest().setDevicesIdsList(ids));
  return Buffer.from(new deviceplugin.AllocateRequest().setContainerRequestsList(requests).serializeBinary());
}

function read(bytes: Buffer): unknown {
  return devicePlugin.allocate.requestDeserialize(bytes);
}

describe('the question of Allocate, as google-protobuf writes it', () => {
  test.each([[[]], [[['0000:03:00.0']]], [[['b', 'a', 'b'], [], ['é', '', '🧮'.repeat(100)]]]])(
    'is read: %j',
    (lists) => {
      expect(read(asked(...lists))).toEqual(lists);
    },
  );

  test('is read past fields that nobody knows, outside and inside', () => {
    const unknown = [0x10, 0x2a, 0x1a, 0x01, 0xff]; // field 2, a number; field 3, a byte
    const container = [...unknown, 0x0a, 0x01, 0x61, ...unknown];
    expect(read(Buffer.from([...unknown, 0x0a, container.length, ...container, ...unknown]))).toEqual([['a']]);
  });

  test.each([
    ['ends within an id', [0x0a, 0x04, 0x0a, 0x05, 0x61, 0x62]],
    ['is longer than the message says', [0x0a, 0x7f, 0x0a, 0x01, 0x61]],
    ['is no message', [0xff, 0xff, 0xff]],
    ['has a number where a container belongs', [0x08, 0x01]],
  ])('is refused when it %s', (_, bytes) => {
    expect(() => read(Buffer.from(bytes))).toThrow(/Decoder hit an error|Assertion failed/);
  });
});
