// A device plug-in that does what its script says, for what has to be asked of the real kubelet. None of the product's code is in it
// but the message layouts.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const directory = '/var/lib/kubelet/device-plugins';
const podResourcesSocket = 'unix:///var/lib/kubelet/pod-resources/kubelet.sock';
const layouts = join(import.meta.dirname, '../../../device-plugin/proto');

export interface ScriptedAnswer {
  readonly envs?: Readonly<Record<string, string>>;
  readonly cdi_devices?: readonly { readonly name: string }[];
}

export interface Script {
  /** Such as example.com/gpu. */
  readonly resource: string;
  readonly devices: readonly string[];
  allocate(ids: readonly string[]): ScriptedAnswer | Promise<ScriptedAnswer>;
  /** Which of the free devices the kubelet had better take. Absent: the kubelet does not ask. */
  prefer?(available: readonly string[], size: number): readonly string[];
  /** Absent: the kubelet is not asked to call before a start. */
  preStart?(ids: readonly string[]): Promise<void>;
}

/** Resolves when the kubelet follows the plug-in; the answer ends it. */
export async function servePlugin(script: Script): Promise<() => Promise<void>> {
  const endpoint = `${script.resource.replaceAll(/[^a-z0-9]/g, '-')}.sock`;
  const socket = join(directory, endpoint);
  const options = {
    pre_start_required: script.preStart !== undefined,
    get_preferred_allocation_available: script.prefer !== undefined,
  };
  const followed = Promise.withResolvers<void>();
  const server = new grpc.Server();
  server.addService(serviceNamed('deviceplugin.proto', 'v1beta1', 'DevicePlugin').service, {
    GetDevicePluginOptions: (_call: unknown, answer: Answer) => answer(null, options),
    ListAndWatch: (stream: { write(message: object): void }) => {
      stream.write({ devices: script.devices.map((ID) => ({ ID, health: 'Healthy' })) });
      followed.resolve();
    },
    GetPreferredAllocation: ({ request }: Call<{ container_requests: Preference[] }>, answer: Answer) =>
      answer(null, {
        container_responses: request.container_requests.map(({ available_deviceIDs, allocation_size }) => ({
          deviceIDs: script.prefer?.(available_deviceIDs, allocation_size),
        })),
      }),
    Allocate: ({ request }: Call<{ container_requests: Ids[] }>, answer: Answer) => {
      Promise.all(request.container_requests.map(async ({ devices_ids }) => script.allocate(devices_ids))).then(
        (container_responses) => answer(null, { container_responses }),
        (error: unknown) => answer({ code: grpc.status.INTERNAL, details: String(error) }),
      );
    },
    PreStartContainer: ({ request }: Call<Ids>, answer: Answer) => {
      (script.preStart?.(request.devices_ids) ?? Promise.resolve()).then(
        () => answer(null, {}),
        (error: unknown) => answer({ code: grpc.status.INTERNAL, details: String(error) }),
      );
    },
  });
  await rm(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  const Registration = serviceNamed('deviceplugin.proto', 'v1beta1', 'Registration');
  await called(new Registration(`unix:${directory}/kubelet.sock`, grpc.credentials.createInsecure()), 'Register', {
    version: 'v1beta1',
    endpoint,
    resource_name: script.resource,
    options,
  });
  await followed.promise;
  return async () => {
    server.forceShutdown();
    await rm(socket, { force: true });
  };
}

export interface HeldDevices {
  readonly pod: string;
  readonly container: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

/** What the kubelet says now of who holds what. */
export async function heldDevices(): Promise<HeldDevices[]> {
  const PodResourcesLister = serviceNamed('podresources.proto', 'v1', 'PodResourcesLister');
  const client = new PodResourcesLister(podResourcesSocket, grpc.credentials.createInsecure());
  const { pod_resources } = (await called(client, 'List', {})) as { pod_resources: PodResources[] };
  return pod_resources.flatMap((pod) =>
    pod.containers.flatMap((container) =>
      container.devices.map(({ resource_name, device_ids }) => ({
        pod: pod.name,
        container: container.name,
        resource: resource_name,
        ids: device_ids,
      })),
    ),
  );
}

interface Ids {
  readonly devices_ids: readonly string[];
}

interface Preference {
  readonly available_deviceIDs: readonly string[];
  readonly allocation_size: number;
}

interface PodResources {
  readonly name: string;
  readonly containers: readonly {
    readonly name: string;
    readonly devices: readonly { readonly resource_name: string; readonly device_ids: readonly string[] }[];
  }[];
}

interface Call<Request> {
  readonly request: Request;
}

type Answer = (error: { code: grpc.status; details: string } | null, answer?: object) => void;

interface Service {
  readonly service: grpc.ServiceDefinition;
  new (target: string, credentials: grpc.ChannelCredentials): grpc.Client;
}

function serviceNamed(file: string, inPackage: string, name: string): Service {
  const loaded = grpc.loadPackageDefinition(loadSync(join(layouts, file), { keepCase: true, defaults: true }));
  return (loaded[inPackage] as Record<string, unknown>)[name] as Service;
}

/** One call on a connection that ends with it. */
function called(client: grpc.Client, method: string, request: object): Promise<object> {
  const methods = client as unknown as Record<
    string,
    (request: object, answer: (error: grpc.ServiceError | null, value: object) => void) => void
  >;
  return new Promise<object>((resolve, reject) => {
    methods[method]?.call(client, request, (error, value) => (error ? reject(error) : resolve(value)));
  }).finally(() => client.close());
}
