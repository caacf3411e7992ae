// Bytes in, bytes out: firmware commands through DEVX and fwctl. The numbers are written out from mlx5_ifc.h (compiled: offsets in bits) and
// include/uapi/fwctl/fwctl.h, so that a mistake in verbs/firmware-abi.ts cannot agree with itself.
import { beforeEach, describe, expect, test } from 'vitest';

import { refused } from '../../host/host.ts';
import type { Device } from '../../host/host.ts';
import { applyChange } from '../changes.ts';
import type { VirtualHost } from '../host.ts';
import { createVirtualHost } from '../host.ts';
import { loadFixture } from '../load.ts';
import { contextRequest, getContext, ioctl, said } from './raw.fixture.ts';

const NIC = '0000:03:00.0';
const VUID = 'VT2547VIRT001MLNXDATADIRECT0';

let host: VirtualHost;

async function hostWith(extension: object): Promise<VirtualHost> {
  const fixture = await loadFixture('gb300-tray');
  return createVirtualHost({ ...fixture, extension: { ...fixture.extension!, ...extension } });
}

beforeEach(async () => {
  host = await hostWith({ fwctl: true });
});

async function opened(path: string, nic = NIC): Promise<Device> {
  const device = await host.openDevice(path, nic);
  if (refused(device)) throw new Error(`${path}: ${device.code}`);
  return device;
}

function withDevx(): Buffer {
  const request = contextRequest();
  request.writeUInt32LE(1, 8);
  return request;
}

async function devxDevice(): Promise<Device> {
  const device = await opened('/dev/infiniband/uverbs0');
  expect((await getContext(device, withDevx())).answer).toBe(0);
  return device;
}

async function devx(device: Device, command: Buffer, room: number) {
  const answer = Buffer.alloc(room, 0xaa);
  const { answer: code } = await ioctl(device, 0x1000, 0x1000, [
    { id: 0x1000, flags: 1, target: command },
    { id: 0x1001, flags: 1, target: answer },
  ]);
  return { code, answer };
}

/** 16 bytes: opcode, and in the last four data_direct (bit 0x61) and vhca_id. */
function queryVuid(id: number, dataDirect = true): Buffer {
  const command = Buffer.alloc(16);
  command.writeUInt16BE(0x0b22, 0);
  command.writeUInt8(dataDirect ? 0x40 : 0, 12);
  command.writeUInt16BE(id, 14);
  return command;
}

function queryHcaCap(type: number): Buffer {
  const command = Buffer.alloc(16);
  command.writeUInt16BE(0x0100, 0);
  command.writeUInt16BE((type << 1) | 1, 6);
  return command;
}

const CAPABILITY = 16;
async function vhcaId(device: Device): Promise<number> {
  const { answer } = await devx(device, queryHcaCap(0), 4112);
  return answer.readUInt16BE(CAPABILITY + 6);
}

describe('QUERY_HCA_CAP through DEVX', () => {
  test('shows data_direct, crossing_vhca_mkey and query_vuid at the bits of mlx5_ifc.h', async () => {
    const device = await devxDevice();
    const general = (await devx(device, queryHcaCap(0), 4112)).answer;
    const more = (await devx(device, queryHcaCap(0x20), 4112)).answer;
    expect(general.readUInt8(CAPABILITY + 4) & 0x80).toBe(0x80);
    expect(general.readUInt8(CAPABILITY + 234) & 0x20).toBe(0x20);
    expect(general.readUInt8(CAPABILITY + 182) & 0x20).toBe(0x20);
    expect(more.readUInt8(CAPABILITY + 18) & 0x20).toBe(0x20);

    for (const name of ['crossing_vhca_mkey', 'query_vuid']) applyChange(host, ['capability', NIC, name, 'off']);
    applyChange(host, ['vuid', NIC, 'none']);
    const without = (await devx(device, queryHcaCap(0), 4112)).answer;
    expect(without.readUInt8(CAPABILITY + 234) & 0x20).toBe(0);
    expect(without.readUInt8(CAPABILITY + 182) & 0x20).toBe(0);
    expect((await devx(device, queryHcaCap(0x20), 4112)).answer.readUInt8(CAPABILITY + 18) & 0x20).toBe(0);
  });

  test('is answered to contexts without DEVX too, where the firmware has user contexts at all', async () => {
    const device = await opened('/dev/infiniband/uverbs0');
    await getContext(device);
    expect((await devx(device, queryHcaCap(0), 4112)).code).toBe(0);
  });

  test('of an unknown block is zeros', async () => {
    const { code, answer } = await devx(await devxDevice(), queryHcaCap(0x2f), 4112);
    expect(code).toBe(0);
    expect(answer.every((byte) => byte === 0)).toBe(true);
  });
});

describe('QUERY_VUID through DEVX', () => {
  test('names the VUID of the DMA function, one entry of 128 bytes', async () => {
    const device = await devxDevice();
    const { code, answer } = await devx(device, queryVuid(await vhcaId(device)), 192);
    expect(code).toBe(0);
    expect(answer.readUInt8(0)).toBe(0);
    expect(answer.readUInt16BE(62)).toBe(1);
    expect(answer.toString('latin1', 64)).toBe(VUID.padEnd(128, '\0'));
  });

  test('without data_direct names the NIC’s own, which is another', async () => {
    const device = await devxDevice();
    const { answer } = await devx(device, queryVuid(await vhcaId(device), false), 192);
    expect(answer.toString('latin1', 64, 64 + VUID.length)).not.toBe(VUID);
  });

  test.each<[string, string[] | undefined, (id: number) => Buffer, number]>([
    ['another function’s number', undefined, (id) => queryVuid(id + 1), 0x03],
    ['a firmware whose data direct is off', ['vuid', NIC, 'none'], queryVuid, 0x03],
    ['a firmware without QUERY_VUID', ['capability', NIC, 'query_vuid', 'off'], queryVuid, 0x02],
    ['a firmware that refuses it to users', ['firmware-refuse', NIC, 'query_vuid', '0x04'], queryVuid, 0x04],
  ])('with %s is EREMOTEIO, and the status is copied out', async (_what, change, command, status) => {
    const device = await devxDevice();
    const id = await vhcaId(device);
    if (change) applyChange(host, change);
    const { code, answer } = await devx(device, command(id), 192);
    expect(code).toBe('EREMOTEIO');
    expect(answer.readUInt8(0)).toBe(status);
    expect(answer.readUInt32BE(4)).toBeGreaterThan(0);
  });

  test('needs a context with DEVX: EINVAL', async () => {
    const device = await opened('/dev/infiniband/uverbs0');
    expect((await devx(device, queryVuid(1), 192)).code).toBe('EINVAL');
    await getContext(device);
    expect((await devx(device, queryVuid(1), 192)).code).toBe('EINVAL');
  });
});

describe('the frame of a DEVX command', () => {
  test.each<[string, number, string | 0]>([
    ['below the general range', 0x0aff, 'EINVAL'],
    ['first of the general range, unknown to the firmware', 0x0b00, 'EREMOTEIO'],
    ['last of the general range, unknown to the firmware', 0x0cff, 'EREMOTEIO'],
    ['beyond the general range', 0x0d00, 'EINVAL'],
    ['that makes a queue pair', 0x0500, 'EINVAL'],
  ])('opcode %s', async (_what, opcode, code) => {
    const command = Buffer.alloc(16);
    command.writeUInt16BE(opcode, 0);
    expect((await devx(await devxDevice(), command, 16)).code).toBe(code);
  });

  test('shorter than a header is EINVAL, an answer without room for all of it EREMOTEIO', async () => {
    const device = await devxDevice();
    expect((await devx(device, queryHcaCap(0).subarray(0, 15), 4112)).code).toBe('EINVAL');
    expect((await devx(device, queryHcaCap(0), 15)).code).toBe('EINVAL');
    const { code, answer } = await devx(device, queryHcaCap(0), 64);
    expect([code, answer.readUInt8(0)]).toEqual(['EREMOTEIO', 0x51]);
  });

  test('a firmware without user contexts has neither such contexts nor the object', async () => {
    applyChange(host, ['unbind', NIC]);
    applyChange(host, ['capability', NIC, 'log_max_uctx', 'off']);
    applyChange(host, ['bind', NIC]);
    const device = await opened('/dev/infiniband/uverbs0');
    expect((await getContext(device, withDevx())).answer).toBe('EINVAL');
    expect((await getContext(device)).answer).toBe(0);
    expect((await devx(device, queryHcaCap(0), 4112)).code).toBe('EPROTONOSUPPORT');
  });

  test('is EIO once the NIC is gone', async () => {
    const device = await devxDevice();
    applyChange(host, ['unbind', NIC]);
    expect((await devx(device, queryHcaCap(0), 4112)).code).toBe('EIO');
  });
});

const RPC = 0x9a01;
interface Rpc {
  size?: number;
  scope?: number;
  command?: Buffer;
  room?: number;
  tail?: Buffer;
}
async function rpc(device: Device, { size = 32, scope = 0, command = queryHcaCap(0), room = 4112, tail }: Rpc = {}) {
  const answer = Buffer.alloc(room, 0xaa);
  const bytes = Buffer.concat([Buffer.alloc(32), tail ?? Buffer.alloc(0)]);
  bytes.writeUInt32LE(size, 0);
  bytes.writeUInt32LE(scope, 4);
  bytes.writeUInt32LE(command.length, 8);
  bytes.writeUInt32LE(room, 12);
  const pointers = [
    { offset: 16, target: command },
    { offset: 24, target: answer },
  ];
  return { code: await said(device.ioctl(RPC, bytes, pointers)), answer };
}

describe('fwctl', () => {
  test('is a node of its own for each NIC that mlx5_core holds, also without RDMA device', async () => {
    expect(host.sysfs.list('class/fwctl')).toHaveLength(5);
    expect(host.sysfs.list(`bus/pci/devices/${NIC}/fwctl`)).toEqual(['fwctl0']);
    applyChange(host, ['unbind', NIC]);
    expect(host.sysfs.list(`bus/pci/devices/${NIC}/fwctl`)).toMatchObject({ code: 'ENOENT' });
    expect(await host.openDevice('/dev/fwctl/fwctl0', NIC)).toMatchObject({ code: 'ENOENT' });
  });

  test('is not there where the kernel does not have it', async () => {
    host = await hostWith({});
    expect(await host.openDevice('/dev/fwctl/fwctl0', NIC)).toMatchObject({ code: 'ENOENT' });
  });

  test('delivers QUERY_VUID, and a refusal of the firmware in the answer alone', async () => {
    const device = await opened('/dev/fwctl/fwctl0');
    const caps = await rpc(device);
    expect(caps.code).toBe(0);
    const id = caps.answer.readUInt16BE(CAPABILITY + 6);
    const { code, answer } = await rpc(device, { command: queryVuid(id), room: 192 });
    expect(code).toBe(0);
    expect(answer.toString('latin1', 64, 64 + VUID.length + 1)).toBe(`${VUID}\0`);
    const wrong = await rpc(device, { command: queryVuid(id + 1), room: 192 });
    expect([wrong.code, wrong.answer.readUInt8(0)]).toEqual([0, 0x03]);
  });

  test.each<[string, string, Rpc]>([
    ['a struct that is too short', 'EINVAL', { size: 24 }],
    ['something in what the kernel does not know', 'E2BIG', { size: 40, tail: Buffer.alloc(8, 1) }],
    ['a scope that there is not', 'EOPNOTSUPP', { scope: 4 }],
    ['a command without header', 'EMSGSIZE', { command: Buffer.alloc(8) }],
    ['an answer without header', 'EMSGSIZE', { room: 8 }],
    ['an opcode that the driver keeps back', 'EBADMSG', { command: Buffer.from([0x05, 0x00, ...Buffer.alloc(14)]) }],
  ])('answers %s with %s', async (_what, code, request) => {
    expect((await rpc(await opened('/dev/fwctl/fwctl0'), request)).code).toBe(code);
  });

  test('takes a longer struct whose rest is zero, and no other ioctl', async () => {
    const device = await opened('/dev/fwctl/fwctl0');
    expect((await rpc(device, { size: 40, tail: Buffer.alloc(8) })).code).toBe(0);
    expect(await said(device.ioctl(0x9a07, Buffer.alloc(32), []))).toBe('ENOTTY');
  });

  test('is ENODEV once the NIC is gone', async () => {
    const device = await opened('/dev/fwctl/fwctl0');
    applyChange(host, ['unbind', NIC]);
    expect((await rpc(device)).code).toBe('ENODEV');
  });
});
