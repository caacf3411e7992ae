// What the kernel itself says of one NIC: which DMA function it pairs, and whether a registration reaches it. What that means: checks.ts.
import type { Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { addressOf } from '../pci/address.ts';
import type { ProtectionDomain } from '../verbs/context.ts';
import { Context } from '../verbs/context.ts';
import { malformed, Refusal } from '../verbs/errors.ts';
import { probe, registerDmabuf } from '../verbs/memory-region.ts';
import type { VerificationLevel } from './path.ts';
import type { KernelSeen } from './snapshot.ts';

interface Nic {
  /** Whom calls are charged to. */
  readonly device: string;
  readonly uverbs: string;
}

export async function askKernel(host: Host, { uverbs, device }: Nic, level: VerificationLevel): Promise<KernelSeen> {
  const context = await Context.open(host, uverbs, device);
  if (context instanceof Refusal) return { answer: undefined, refusal: context, verified: 'None' };
  try {
    return await askIn(context, host, level);
  } finally {
    await context.close();
  }
}

async function askIn(context: Context, host: Host, level: VerificationLevel): Promise<KernelSeen> {
  const dma = await pairedFunction(context);
  if (dma instanceof Refusal) {
    return dma.errno.code === 'ENODEV'
      ? { answer: { dma: undefined }, refusal: undefined, verified: 'None' }
      : { answer: undefined, refusal: dma, verified: 'None' };
  }
  return { answer: { dma }, ...(await verify(context, host, level)) };
}

async function pairedFunction(context: Context): Promise<string | Refusal> {
  const path = await context.dataDirectSysfsPath();
  if (path instanceof Refusal) return path;
  return addressOf(path) ?? malformed('GET_DATA_DIRECT_SYSFS_PATH', `${path}, which ends in no PCI address`);
}

type Verified = Pick<KernelSeen, 'refusal' | 'verified'>;

/** Each level includes those below it; the level that comes back is the one that was really done. */
async function verify(context: Context, host: Host, level: VerificationLevel): Promise<Verified> {
  if (level === 'None') return { refusal: undefined, verified: 'None' };
  const pd = await context.allocPd();
  if (pd instanceof Refusal) return { refusal: pd, verified: 'None' };
  const probed = await probe(pd);
  if (probed instanceof Refusal) return { refusal: probed, verified: 'None' };
  return level === 'Probe' ? { refusal: undefined, verified: 'Probe' } : register(pd, host);
}

/** A host without udmabuf cannot be asked more than the probe. */
async function register(pd: ProtectionDomain, host: Host): Promise<Verified> {
  const dmabuf = await host.dmabuf(host.pageSize);
  if (refused(dmabuf)) return { refusal: undefined, verified: 'Probe' };
  try {
    const region = await registerDmabuf(pd, { fd: dmabuf.fd, length: host.pageSize });
    if (region instanceof Refusal) return { refusal: region, verified: 'Probe' };
    await region.deregister();
    return { refusal: undefined, verified: 'Registration' };
  } finally {
    await dmabuf.close();
  }
}
