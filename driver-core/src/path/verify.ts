// Everything that can be asked about data direct on one NIC, step by step and whatever the answers: what ask.ts does on the health path in as few
// calls as possible, plus a real registration and both ways to the firmware. For people who want to see it (data-direct verify).
import { isReadable, vuidOf } from '../binding/evidence.ts';
import { sameVuid } from '../binding/vuid.ts';
import type { Errno, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import { addressOf } from '../pci/address.ts';
import { chargedTo } from '../pci/nic.ts';
import type { ProtectionDomain } from '../verbs/context.ts';
import { Context } from '../verbs/context.ts';
import { VpdError } from '../pci/vpd.ts';
import { meaning, Refusal, unheard } from '../verbs/errors.ts';
import { queryCapabilities, queryDataDirectVuid } from '../verbs/firmware.ts';
import type { Firmware } from '../verbs/firmware.ts';
import type { MemoryRegion } from '../verbs/memory-region.ts';
import { probe, registerDmabuf } from '../verbs/memory-region.ts';
import { waysTo } from './observe-firmware.ts';
import type { DmaSeen, NicSeen } from './snapshot.ts';

/** SKIP: not reached, or not to be had here. */
type Verdict = 'OK' | 'FAIL' | 'SKIP';

export interface VerifiedStep {
  readonly step: string;
  readonly verdict: Verdict;
  readonly says: string;
  /** By name, where a call was refused. */
  readonly errno: string | undefined;
}

/** A real buffer is of a few pages, so that the entries of the key are more than one. */
const PAGES = 4;

export async function verifyNic(host: Host, nic: NicSeen, dmas: readonly DmaSeen[]): Promise<VerifiedStep[]> {
  const steps = new Steps();
  const dma = await verifyByKernel(host, nic, steps);
  const paired = dmas.find(({ fn }) => fn.address === dma);
  if (paired) verifyVpd(paired, steps);
  for (const { through, open } of waysTo(host, nic)) {
    const firmware = await open();
    if (firmware instanceof Refusal)
      steps.add('SKIP', `firmware through ${through}`, unheard(firmware), firmware.errno);
    else await verifyByFirmware(firmware, { through, dma, dmas }, steps);
  }
  return steps.all;
}

class Steps {
  readonly all: VerifiedStep[] = [];

  add(verdict: Verdict, step: string, says: string, errno?: Errno): void {
    this.all.push({ step, verdict, says, errno: errno?.code });
  }

  refused(step: string, { errno, ...refusal }: Refusal): void {
    const says = meaning({ ...refusal, errno })?.says ?? 'an answer that has no meaning at this call';
    this.add('FAIL', step, `${errno.code} (${errno.number}): ${says}`, errno);
  }
}

/** The address of the DMA function that the kernel has paired. */
async function verifyByKernel(host: Host, nic: NicSeen, steps: Steps): Promise<string | undefined> {
  const { uverbs } = nic;
  if (uverbs === undefined) {
    steps.add('FAIL', 'context', 'there is no uverbs node: mlx5_ib or ib_uverbs is not loaded');
    return undefined;
  }
  const context = await Context.open(host, uverbs, chargedTo(nic));
  if (context instanceof Refusal) {
    steps.refused('context', context);
    return undefined;
  }
  try {
    steps.add('OK', 'context', `/dev/infiniband/${uverbs} is open`);
    const dma = await verifyPairing(context, steps);
    if (dma !== undefined) await verifyMemory(context, host, steps);
    return dma;
  } finally {
    await context.close();
  }
}

async function verifyPairing(context: Context, steps: Steps): Promise<string | undefined> {
  const path = await context.dataDirectSysfsPath();
  if (!(path instanceof Refusal)) {
    steps.add('OK', 'pairing', `the kernel names ${path}`);
    return addressOf(path);
  }
  if (path.errno.code === 'ENODEV')
    steps.add('FAIL', 'pairing', 'ENODEV (19): the kernel has paired no DMA function', path.errno);
  else steps.refused('pairing', path);
  return undefined;
}

async function verifyMemory(context: Context, host: Host, steps: Steps): Promise<void> {
  const pd = await context.allocPd();
  if (pd instanceof Refusal) return steps.refused('protection domain', pd);
  steps.add('OK', 'protection domain', `handle ${pd.handle}`);
  const probed = await probe(pd);
  if (probed instanceof Refusal) steps.refused('probe', probed);
  else
    steps.add('OK', 'probe', 'a registration gets as far as the DMA function (EBADF for a file that does not exist)');
  await verifyRegistration(pd, host, steps);
}

async function verifyRegistration(pd: ProtectionDomain, host: Host, steps: Steps): Promise<void> {
  const length = PAGES * host.pageSize;
  const dmabuf = await host.dmabuf(length);
  if (refused(dmabuf)) return steps.add('SKIP', 'registration', `no DMABUF without a GPU: ${dmabuf.what}`, dmabuf);
  try {
    const region = await registerDmabuf(pd, { fd: dmabuf.fd, length });
    if (region instanceof Refusal) return steps.refused('registration', region);
    steps.add('OK', 'registration', `${length} bytes of a DMABUF: ${keysOf(region)}`);
    const ended = await region.deregister();
    if (refused(ended)) steps.add('FAIL', 'deregistration', `${ended.code} (${ended.number})`, ended);
    else steps.add('OK', 'deregistration', 'the region is gone');
  } finally {
    await dmabuf.close();
  }
}

function keysOf({ lkey, rkey }: MemoryRegion): string {
  return `lkey 0x${lkey.toString(16)}, rkey 0x${rkey.toString(16)}`;
}

/** What the driver read at its probe, as it stands now. The checksum is told and not judged: the kernel never asks for it. */
function verifyVpd({ fn, vpd }: DmaSeen, steps: Steps): void {
  const step = `VPD of ${fn.address}`;
  if (!isReadable(vpd)) {
    const errno = refused(vpd) ? vpd : undefined;
    return steps.add(errno ? 'SKIP' : 'FAIL', step, vpd instanceof VpdError ? vpd.message : 'it cannot be read', errno);
  }
  const keywords = ['VU', 'V3', 'PN', 'SN'].map((name) => `${name} ${vpd.keywords.get(name) ?? 'missing'}`);
  const says = [...keywords, `checksum ${vpd.checksum ?? 'missing'}`, ...(vpd.broken ? [vpd.broken.message] : [])];
  steps.add(vuidOf(vpd) === undefined ? 'FAIL' : 'OK', step, says.join(', '));
}

interface Way {
  readonly through: string;
  /** As the kernel pairs. */
  readonly dma: string | undefined;
  readonly dmas: readonly DmaSeen[];
}

/** A refusal is no failure: it is not known whether firmware answers everybody. */
async function verifyByFirmware(firmware: Firmware, way: Way, steps: Steps): Promise<void> {
  const { through } = way;
  try {
    const capabilities = await queryCapabilities(firmware);
    const step = `capabilities through ${through}`;
    if (capabilities instanceof Refusal) return steps.add('SKIP', step, unheard(capabilities), capabilities.errno);
    const { dataDirect, queryVuid, crossingVhcaMkey, vhcaId } = capabilities;
    const all = Object.entries({
      data_direct: dataDirect,
      query_vuid: queryVuid,
      crossing_vhca_mkey: crossingVhcaMkey,
    });
    const says = all.map(([name, on]) => `${name} ${on ? 1 : 0}`).join(', ');
    steps.add(all.every(([, on]) => on) ? 'OK' : 'FAIL', step, says);
    const vuid = await queryDataDirectVuid(firmware, vhcaId);
    if (vuid instanceof Refusal) steps.add('SKIP', `VUID through ${through}`, unheard(vuid), vuid.errno);
    else steps.add(...judgeVuid(vuid, way));
  } finally {
    await firmware.close();
  }
}

function judgeVuid(vuid: string, { through, dma, dmas }: Way): [Verdict, string, string] {
  const step = `VUID through ${through}`;
  const names = `the firmware names ${vuid}`;
  if (dmas.every(({ vpd }) => !isReadable(vpd)))
    return ['SKIP', step, `${names}; no VPD can be read to compare it with`];
  const fitting = dmas.filter(({ vpd }) => sameVuid(vuidOf(vpd), vuid)).map(({ fn }) => fn.address);
  const whose = fitting.length === 0 ? 'which no DMA function has' : `the VUID of ${fitting.join(' and ')}`;
  // Where the kernel pairs none, that has been told already.
  const isRight = dma === undefined ? fitting.length > 0 : fitting.includes(dma);
  return [isRight ? 'OK' : 'FAIL', step, `${names}, ${whose}`];
}
