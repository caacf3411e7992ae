// Every request that the common part of the uverbs ABI has for us, made of rdma_rxe by driver-core's own verbs. What the
// answers should be stands in ../suite/software-device.ts.

import { existsSync } from 'node:fs';
import type { Device, Host } from '../../../driver-core/src/host/host.ts';
import { openLinuxHost } from '../../../driver-core/src/host/linux.ts';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import { Context, type ProtectionDomain } from '../../../driver-core/src/verbs/context.ts';
import { probe, registerDmabuf } from '../../../driver-core/src/verbs/memory-region.ts';
import { call, handle, output } from '../../../driver-core/src/verbs/request.ts';
import { code, must } from './answers.ts';
import { ordinaryRegistration } from './ask-nic.ts';
import { eventually } from './eventually.ts';
import { addRxeLink } from './rdma-link.ts';
import { shell } from './shell.ts';

/** enum rdma_driver_id — include/uapi/rdma/ib_user_ioctl_verbs.h. */
const RDMA_DRIVER_RXE = 14;
const bytes = 65536;
const uverbs = 'uverbs0';
/** Calls are charged to a device; this one has no PCI address. */
const nobody = 'rxe0';

const deviceMethod = (method: number) => ({ object: abi.UVERBS_OBJECT_DEVICE, method });
const memoryMethod = (method: number) => ({ object: abi.UVERBS_OBJECT_MR, method });

export async function askSoftwareDevice(): Promise<Record<string, string>> {
  const host = await openLinuxHost();
  const before = code(await host.openDevice(`/dev/infiniband/${uverbs}`, nobody));
  await makeSoftwareDevice();
  return {
    'open before ib_uverbs is loaded': before,
    ...(await askWithoutContext(host)),
    ...(await askWithContext(await openRxeHost())),
  };
}

async function makeSoftwareDevice(): Promise<void> {
  await shell('modprobe ib_uverbs; modprobe dummy; ip link set dummy0 up');
  addRxeLink('rxe0', 'dummy0');
  const node = `/dev/infiniband/${uverbs}`; // made after the link
  await eventually('the software device', () => (existsSync(node) ? '' : node));
}

async function askWithoutContext(host: Host): Promise<Record<string, string>> {
  const path = [output(abi.MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH, Buffer.alloc(abi.PATH_MAX))];
  const method = deviceMethod(abi.MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH);
  const own = must(await host.openDevice(`/dev/infiniband/${uverbs}`, nobody));
  const rxe = asDriver(own, RDMA_DRIVER_RXE);
  const answers = {
    'data direct path, without a context': code(await call(rxe, method, path)),
    'request that names another driver': code(await call(own, deviceMethod(abi.UVERBS_METHOD_GET_CONTEXT), [])),
    'another ioctl': code(await own.ioctl(abi.RDMA_VERBS_IOCTL + 1, Buffer.alloc(24), [])),
    'wrong length': code(await own.ioctl(abi.RDMA_VERBS_IOCTL, abi.ib_uverbs_ioctl_hdr.encode({ length: 23 }), [])),
  };
  await own.close();
  return answers;
}

async function askWithContext(host: Host): Promise<Record<string, string>> {
  const context = must(await Context.open(host, uverbs, nobody));
  const answers = {
    context: 'ok',
    'context, again': code(await call(context.device, deviceMethod(abi.UVERBS_METHOD_GET_CONTEXT), [])),
    'data direct path': code(await context.dataDirectSysfsPath()),
    'protection domain': 'ok',
    ...(await askOfMemory(host, must(await context.allocPd()))),
  };
  await context.close();
  return answers;
}

async function askOfMemory(host: Host, pd: ProtectionDomain): Promise<Record<string, string>> {
  const { device } = pd;
  const udmabuf = must(await host.dmabuf(bytes));
  const register = memoryMethod(abi.UVERBS_METHOD_REG_DMABUF_MR);
  const answers = {
    'plain registration of a udmabuf': code(
      await call(device, register, ordinaryRegistration(pd, { fd: udmabuf.fd, length: bytes })),
    ),
    'plain registration of no file': code(
      await call(device, register, ordinaryRegistration(pd, { fd: -1, length: bytes })),
    ),
    'data direct registration of a udmabuf': code(await registerDmabuf(pd, { fd: udmabuf.fd, length: bytes })),
    probe: code(await probe(pd)),
    'memory region that is a protection domain': code(
      await call(device, memoryMethod(abi.UVERBS_METHOD_MR_DESTROY), [
        handle(abi.UVERBS_ATTR_DESTROY_MR_HANDLE, pd.handle),
      ]),
    ),
    'end of the protection domain': code(await pd.destroy()),
    'end of the protection domain, again': code(await pd.destroy()),
  };
  await udmabuf.close();
  return answers;
}

/** driver-core speaks to mlx5_ib alone. The same requests, with the name of another driver in their header. */
function asDriver(device: Device, driver: number): Device {
  return {
    ioctl(request, requestBytes, pointers) {
      abi.ib_uverbs_ioctl_hdr.write(requestBytes, 0, { driver_id: driver });
      return device.ioctl(request, requestBytes, pointers);
    },
    close: () => device.close(),
  };
}

async function openRxeHost(): Promise<Host> {
  const host = await openLinuxHost();
  const openDevice = host.openDevice.bind(host);
  return Object.assign(host, {
    openDevice: async (path: string, device: string) => asDriver(must(await openDevice(path, device)), RDMA_DRIVER_RXE),
  });
}
