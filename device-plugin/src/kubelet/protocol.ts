// The kubelet's gRPC protocols as plain objects: google-protobuf messages go no further than this file.
// Field names are the kubelet's; the message layouts are in ../../proto.
import type grpc from '@grpc/grpc-js';
import { BinaryReader } from 'google-protobuf';

import { onceFor } from '../once.ts';
import deviceplugin from './generated/deviceplugin_pb.cjs';
import podresources from './generated/podresources_pb.cjs';

/** The only version a kubelet knows (k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/constants.go). */
export const VERSION = 'v1beta1';

export interface PluginOptions {
  readonly preStartRequired: boolean;
  readonly getPreferredAllocationAvailable: boolean;
}

export interface RegisterRequest {
  readonly version: string;
  /** The socket's file name in the kubelet's directory. */
  readonly endpoint: string;
  readonly resourceName: string;
  readonly options: PluginOptions;
}

export interface AdvertisedDevice {
  readonly id: string;
  readonly healthy: boolean;
  /** Topology hint; no hint is something else than node 0. */
  readonly numaNode?: number;
}

export interface ContainerPreference {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly size: number;
}

export interface DeviceSpec {
  readonly containerPath: string;
  readonly hostPath: string;
  /** cgroup letters: r, w, m. */
  readonly permissions: string;
}

export interface ContainerAllocation {
  readonly envs: Readonly<Record<string, string>>;
  readonly devices: readonly DeviceSpec[];
  /** Fully qualified names, such as datadirect.dev/path=0000:03:00.0. */
  readonly cdiDevices: readonly string[];
}

export interface ContainerDevices {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** A message without fields. Not `void`: grpc-js takes an undefined message for one that never came. */
export type Empty = Readonly<Record<string, never>>;

const empty: Codec<Empty> = {
  encode: () => new deviceplugin.Empty().serializeBinary(),
  decode: () => ({}),
};

const pluginOptions: Codec<PluginOptions> = {
  encode: (options) => optionsMessage(options).serializeBinary(),
  decode: (bytes) => deviceplugin.DevicePluginOptions.deserializeBinary(bytes).toObject(),
};

function optionsMessage(options: PluginOptions): deviceplugin.DevicePluginOptions {
  return new deviceplugin.DevicePluginOptions()
    .setPreStartRequired(options.preStartRequired)
    .setGetPreferredAllocationAvailable(options.getPreferredAllocationAvailable);
}

const registerRequest: Codec<RegisterRequest> = {
  encode: ({ version, endpoint, resourceName, options }) =>
    new deviceplugin.RegisterRequest()
      .setVersion(version)
      .setEndpoint(endpoint)
      .setResourceName(resourceName)
      .setOptions(optionsMessage(options))
      .serializeBinary(),
  decode: (bytes) => {
    const { options, ...rest } = deviceplugin.RegisterRequest.deserializeBinary(bytes).toObject();
    return { ...rest, options: options ?? { preStartRequired: false, getPreferredAllocationAvailable: false } };
  },
};

const deviceList: Codec<readonly AdvertisedDevice[]> = {
  encode: (devices) =>
    new deviceplugin.ListAndWatchResponse().setDevicesList(devices.map(deviceMessage)).serializeBinary(),
  decode: (bytes) =>
    deviceplugin.ListAndWatchResponse.deserializeBinary(bytes)
      .getDevicesList()
      .map((device) => {
        const numaNode = device.getTopology()?.getNodesList()[0]?.getId();
        const healthy = device.getHealth() === 'Healthy';
        return { id: device.getId(), healthy, ...(numaNode !== undefined && { numaNode }) };
      }),
};

function deviceMessage({ id, healthy, numaNode }: AdvertisedDevice): deviceplugin.Device {
  const device = new deviceplugin.Device().setId(id).setHealth(healthy ? 'Healthy' : 'Unhealthy');
  if (numaNode === undefined) return device;
  const node = new deviceplugin.NUMANode().setId(numaNode);
  return device.setTopology(new deviceplugin.TopologyInfo().setNodesList([node]));
}

const preferenceRequest: Codec<readonly ContainerPreference[]> = {
  encode: (containers) =>
    new deviceplugin.PreferredAllocationRequest()
      .setContainerRequestsList(
        containers.map(({ available, mustInclude, size }) =>
          new deviceplugin.ContainerPreferredAllocationRequest()
            .setAvailableDeviceidsList([...available])
            .setMustIncludeDeviceidsList([...mustInclude])
            .setAllocationSize(size),
        ),
      )
      .serializeBinary(),
  decode: (bytes) =>
    deviceplugin.PreferredAllocationRequest.deserializeBinary(bytes)
      .getContainerRequestsList()
      .map((container) => ({
        available: container.getAvailableDeviceidsList(),
        mustInclude: container.getMustIncludeDeviceidsList(),
        size: container.getAllocationSize(),
      })),
};

/** Device ids, container by container. */
type IdLists = readonly (readonly string[])[];

const preferenceResponse: Codec<IdLists> = {
  encode: (containers) =>
    new deviceplugin.PreferredAllocationResponse()
      .setContainerResponsesList(
        containers.map((ids) => new deviceplugin.ContainerPreferredAllocationResponse().setDeviceidsList([...ids])),
      )
      .serializeBinary(),
  decode: (bytes) =>
    deviceplugin.PreferredAllocationResponse.deserializeBinary(bytes)
      .getContainerResponsesList()
      .map((container) => container.getDeviceidsList()),
};

const allocateRequest: Codec<IdLists> = {
  encode: (containers) =>
    new deviceplugin.AllocateRequest()
      .setContainerRequestsList(
        containers.map((ids) => new deviceplugin.ContainerAllocateRequest().setDevicesIdsList([...ids])),
      )
      .serializeBinary(),
  // With google-protobuf's reader and without its messages: those live as long as the call, and a burst has many calls.
  decode: (bytes) => {
    const containers: string[][] = [];
    eachField(new BinaryReader(bytes), 1, (request) => {
      const ids: string[] = [];
      request.readMessage(ids, () => eachField(request, 1, () => ids.push(request.readString())));
      containers.push(ids);
    });
    return containers;
  },
};

/** Any other field is for somebody else. */
function eachField(reader: BinaryReader, number: number, read: (reader: BinaryReader) => void): void {
  while (reader.nextField() && !reader.isEndGroup()) {
    if (reader.getFieldNumber() === number) read(reader);
    else reader.skipField();
  }
}

const allocateResponse: Codec<readonly ContainerAllocation[]> = {
  encode: (containers) => Buffer.concat(containers.map(bytesOf)),
  decode: (bytes) =>
    deviceplugin.AllocateResponse.deserializeBinary(bytes)
      .toObject()
      .containerResponsesList.map(({ envsMap, devicesList, cdiDevicesList }) => ({
        envs: Object.fromEntries(envsMap),
        devices: devicesList,
        cdiDevices: cdiDevicesList.map(({ name }) => name),
      })),
};

/** One container's part of the answer: parts that stand one behind the other are one message. An answer that is given again has its bytes already. */
const bytesOf = onceFor(({ envs, devices, cdiDevices }: ContainerAllocation) => {
  const container = new deviceplugin.ContainerAllocateResponse()
    .setDevicesList(
      devices.map(({ containerPath, hostPath, permissions }) =>
        new deviceplugin.DeviceSpec().setContainerPath(containerPath).setHostPath(hostPath).setPermissions(permissions),
      ),
    )
    .setCdiDevicesList(cdiDevices.map((name) => new deviceplugin.CDIDevice().setName(name)));
  for (const [name, value] of Object.entries(envs)) container.getEnvsMap().set(name, value);
  return new deviceplugin.AllocateResponse().setContainerResponsesList([container]).serializeBinary();
});

const preStartRequest: Codec<readonly string[]> = {
  encode: (ids) => new deviceplugin.PreStartContainerRequest().setDevicesIdsList([...ids]).serializeBinary(),
  decode: (bytes) => deviceplugin.PreStartContainerRequest.deserializeBinary(bytes).getDevicesIdsList(),
};

const podResourcesList: Codec<readonly ContainerDevices[]> = {
  encode: (entries) => {
    const pods = entries.map(({ namespace, pod, container, resource, ids }) =>
      new podresources.PodResources()
        .setNamespace(namespace)
        .setName(pod)
        .setContainersList([
          new podresources.ContainerResources()
            .setName(container)
            .setDevicesList([new podresources.ContainerDevices().setResourceName(resource).setDeviceIdsList([...ids])]),
        ]),
    );
    return new podresources.ListPodResourcesResponse().setPodResourcesList(pods).serializeBinary();
  },
  decode: (bytes) =>
    podresources.ListPodResourcesResponse.deserializeBinary(bytes)
      .toObject()
      .podResourcesList.flatMap((pod) =>
        pod.containersList.flatMap((container) =>
          container.devicesList.map((devices) => ({
            namespace: pod.namespace,
            pod: pod.name,
            container: container.name,
            resource: devices.resourceName,
            ids: devices.deviceIdsList,
          })),
        ),
      ),
};

export type Method<Request, Answer> = grpc.MethodDefinition<Request, Answer>;

function method<Request, Answer>(
  path: string,
  request: Codec<Request>,
  answer: Codec<Answer>,
  responseStream = false,
): Method<Request, Answer> {
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: (value) => asBuffer(request.encode(value)),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: (value) => asBuffer(answer.encode(value)),
    responseDeserialize: (bytes) => answer.decode(bytes),
  };
}

/** The same bytes, not a copy. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Served by the kubelet. */
export const registration = {
  register: method('/v1beta1.Registration/Register', registerRequest, empty),
};

/** Served by a plug-in. */
export const devicePlugin = {
  getDevicePluginOptions: method('/v1beta1.DevicePlugin/GetDevicePluginOptions', empty, pluginOptions),
  listAndWatch: method('/v1beta1.DevicePlugin/ListAndWatch', empty, deviceList, true),
  getPreferredAllocation: method('/v1beta1.DevicePlugin/GetPreferredAllocation', preferenceRequest, preferenceResponse),
  allocate: method('/v1beta1.DevicePlugin/Allocate', allocateRequest, allocateResponse),
  preStartContainer: method('/v1beta1.DevicePlugin/PreStartContainer', preStartRequest, empty),
};

/** Served by the kubelet on another socket. */
export const podResourcesLister = {
  list: method('/v1.PodResourcesLister/List', empty, podResourcesList),
};
