// The least possible device plug-in on grpc-js: four devices, every answer fixed bytes. What any such plug-in costs at least.
import { join } from 'node:path';

import grpc from '@grpc/grpc-js';

const ENDPOINT = 'floor-grpc-js.sock';
const directory = join(process.env['KUBELET_DIR'] ?? '', 'device-plugins');

/** Field `number` with a length-delimited value, of at most 127 bytes (protobuf wire format). */
function field(number: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const value = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value]);
}

const devices = Buffer.concat(['0', '1', '2', '3'].map((id) => field(1, field(1, id), field(2, 'Healthy'))));
const device = field(3, field(1, '/dev/null'), field(2, '/dev/null'), field(3, 'rw'));
const allocation = field(1, field(1, field(1, 'FLOOR'), field(2, '1')), device);
const request = Buffer.concat([field(1, 'v1beta1'), field(2, ENDPOINT), field(3, 'floor.example/grpc-js')]);

const bytes = (value: Buffer): Buffer => value;
function method(service: string, name: string, responseStream = false): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/v1beta1.${service}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
}

const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
const unary =
  (answer: Buffer): grpc.handleUnaryCall<Buffer, Buffer> =>
  (_call, respond) =>
    respond(null, answer);
const watch: grpc.handleServerStreamingCall<Buffer, Buffer> = (stream) => void stream.write(devices);
server.addService(
  {
    options: method('DevicePlugin', 'GetDevicePluginOptions'),
    watch: method('DevicePlugin', 'ListAndWatch', true),
    allocate: method('DevicePlugin', 'Allocate'),
  },
  { options: unary(Buffer.alloc(0)), watch, allocate: unary(allocation) },
);
server.bindAsync(`unix:${join(directory, ENDPOINT)}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  const kubelet = new grpc.Client(`unix:${join(directory, 'kubelet.sock')}`, grpc.credentials.createInsecure());
  const { path } = method('Registration', 'Register');
  kubelet.makeUnaryRequest(path, bytes, bytes, request, (refusal) => {
    if (refusal) throw refusal;
    kubelet.close();
  });
});
