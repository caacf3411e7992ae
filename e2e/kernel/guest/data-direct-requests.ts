// Requests for data direct as they come, each answer as one word: the kernel's discovery and registration with a DMA function, without it and
// with it again. What the answers should be stands in ../suite/discovery.ts and ../suite/registration.ts.

import * as fs from 'node:fs';
import type { Host } from '../../../driver-core/src/host/host.ts';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import { Context, type ProtectionDomain } from '../../../driver-core/src/verbs/context.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';
import { probe, registerDmabuf } from '../../../driver-core/src/verbs/memory-region.ts';
import { RegistrationError } from '../../../driver-core/src/verbs/registration.ts';
import { call, input32, output } from '../../../driver-core/src/verbs/request.ts';
import { code, must } from './answers.ts';
import { ordinaryRegistration } from './ask-nic.ts';
import { drivers } from './drivers.ts';

const bytes = 65536;
const GET_PATH = { object: abi.UVERBS_OBJECT_DEVICE, method: abi.MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH };
const REG_DMABUF_MR = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_REG_DMABUF_MR };

export async function askDiscovery(host: Host, nic: string, dma: string): Promise<Record<string, string>> {
  const uverbs = drivers.uverbsOf(nic) ?? '';
  const file = must(await host.openDevice(`/dev/infiniband/${uverbs}`, nic));
  const intoBuffer = async (length: number, device = file): Promise<string> =>
    code(await call(device, GET_PATH, [output(abi.MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH, Buffer.alloc(length))]));
  const withoutContext = await intoBuffer(abi.PATH_MAX);
  await file.close();
  const context = must(await Context.open(host, uverbs, nic));
  const path = async (): Promise<string> => {
    const answer = await context.dataDirectSysfsPath();
    return answer instanceof Refusal ? code(answer) : answer;
  };
  const answers = {
    'without a context': withoutContext,
    'with a context': await path(),
    'into a buffer of five bytes': await intoBuffer(5, context.device),
    'after its DMA function lost the driver': (drivers.unbind(dma), await path()),
    'after its DMA function has the driver again': (drivers.bind(dma), await path()),
  };
  await context.close();
  return answers;
}

export async function askRegistration(host: Host, nic: string, dma: string): Promise<Record<string, string>> {
  const context = must(await Context.open(host, drivers.uverbsOf(nic) ?? '', nic));
  const pd = must(await context.allocPd());
  const { fd } = must(await host.dmabuf(bytes));
  const zero = fs.openSync('/dev/zero', 'r+');
  const [region, later] = [
    must(await registerDmabuf(pd, { fd, length: bytes })),
    must(await registerDmabuf(pd, { fd, length: bytes })),
  ];
  const ask = (range: { fd?: number; length?: number; offset?: bigint; iova?: bigint }): Promise<string> =>
    askRaw(pd, { fd, length: bytes, ...range });
  const answers = {
    'of a udmabuf': await ask({}),
    'of no file': await ask({ fd: -1 }),
    'of a file that is no DMABUF': await ask({ fd: zero }),
    'of one page of a udmabuf': await ask({ length: 4096 }),
    'of more than the udmabuf has': await ask({ length: bytes + 4096 }),
    'of nothing': await ask({ length: 0 }),
    'at an address within a page': await ask({ iova: 0x800n }),
    'at an address within a page, of as much within a page': await ask({ iova: 0x800n, offset: 0x800n, length: 4096 }),
    'at an address within a page, by driver-core': await registerDmabuf(pd, { fd, length: bytes, iova: 0x800n }).then(
      code,
      (error: Error) => (error instanceof RegistrationError ? error.code : error.message),
    ),
    'end of a region': code(await region.deregister()),
    'end of the protection domain while it has a region': code(await pd.destroy()),
    'without driver: of a udmabuf': (drivers.unbind(dma), await ask({})),
    'without driver: of no file': await ask({ fd: -1 }),
    'without driver: end of a region that was made before': code(await later.deregister()),
    'with the driver again: of a udmabuf': (drivers.bind(dma), await ask({})),
    'with the driver again: probe': code(await probe(pd)),
  };
  await context.close();
  fs.closeSync(zero);
  return answers;
}

/** driver-core's own request with no look at what is asked for. What it makes lives as long as the context. */
async function askRaw(
  pd: ProtectionDomain,
  range: { fd: number; length: number; offset?: bigint; iova?: bigint },
): Promise<string> {
  return code(
    await call(pd.device, REG_DMABUF_MR, [
      ...ordinaryRegistration(pd, range),
      input32(abi.MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, abi.MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT),
    ]),
  );
}
