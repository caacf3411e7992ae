// Everything that a case asks of one NIC at once, each answer as one word: `ok`, an errno, or for the path the function's address.

import type { Host } from '../../../driver-core/src/host/host.ts';
import { Observer } from '../../../driver-core/src/path/observe.ts';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import { Context, type ProtectionDomain } from '../../../driver-core/src/verbs/context.ts';
import { Refusal } from '../../../driver-core/src/verbs/errors.ts';
import { MemoryRegion, probe, registerDmabuf } from '../../../driver-core/src/verbs/memory-region.ts';
import {
  type Attribute,
  call,
  handle,
  input32,
  input64,
  newHandle,
  output,
} from '../../../driver-core/src/verbs/request.ts';
import { code, must } from './answers.ts';
import { drivers } from './drivers.ts';

const bytes = 65536;
const REG_DMABUF_MR = { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_REG_DMABUF_MR };

export interface NicAnswers {
  /** How driver-core judges the path. */
  readonly reason: string;
  /** `none` without uverbs node. */
  readonly context: string;
  readonly path?: string;
  readonly probe?: string;
  /** Of a udmabuf, with the data direct flag. */
  readonly registration?: string;
  /** Of a udmabuf, without it. */
  readonly ordinary?: string;
}

/** Without `memory` nothing is registered. */
export async function askNic(host: Host, nic: string, { memory = true } = {}): Promise<NicAnswers> {
  const paths = await new Observer(host).round({ verification: memory ? 'Registration' : 'None' });
  const reason = paths.find(({ id }) => id === nic)?.reason ?? 'no path';
  return { reason, ...(await askKernel(host, nic, memory)) };
}

async function askKernel(host: Host, nic: string, memory: boolean): Promise<Omit<NicAnswers, 'reason'>> {
  const uverbs = drivers.uverbsOf(nic);
  if (uverbs === undefined) return { context: 'none' };
  const context = await Context.open(host, uverbs, nic);
  if (context instanceof Refusal) return { context: code(context) };
  try {
    const path = await pathOf(context);
    const answers = memory ? await askOfMemory(host, must(await context.allocPd())) : {};
    return { context: 'ok', path, ...answers };
  } finally {
    await context.close();
  }
}

/** The address of the DMA function that the kernel names. */
async function pathOf(context: Context): Promise<string> {
  const path = await context.dataDirectSysfsPath();
  return path instanceof Refusal ? code(path) : path.slice(path.lastIndexOf('/') + 1);
}

async function askOfMemory(
  host: Host,
  pd: ProtectionDomain,
): Promise<Pick<NicAnswers, 'probe' | 'registration' | 'ordinary'>> {
  const dmabuf = must(await host.dmabuf(bytes));
  const whole = { fd: dmabuf.fd, length: bytes };
  const probed = await probe(pd);
  const region = await registerDmabuf(pd, whole);
  if (region instanceof MemoryRegion) must(await region.deregister());
  const ordinary = code(await call(pd.device, REG_DMABUF_MR, ordinaryRegistration(pd, whole)));
  await dmabuf.close();
  return { probe: probed === 'ready' ? 'ok' : code(probed), registration: code(region), ordinary };
}

/** What every driver knows: a region that the NIC reaches by itself. driver-core makes none. */
export function ordinaryRegistration(
  pd: ProtectionDomain,
  { fd, length, offset = 0n, iova = 0n }: { fd: number; length: number; offset?: bigint; iova?: bigint },
): Attribute[] {
  return [
    newHandle(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    handle(abi.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd.handle),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, offset),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, BigInt(length)),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_IOVA, iova),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_FD, fd),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, abi.IB_UVERBS_ACCESS_LOCAL_WRITE),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, Buffer.alloc(4)),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, Buffer.alloc(4)),
  ];
}
