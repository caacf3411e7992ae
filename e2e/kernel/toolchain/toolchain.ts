// Everything that a virtual machine is made of, on disk: from the cache, or fetched now.

import { join } from 'node:path';
import { withCache } from '../../rig/cache.ts';
import { DebianArchive } from '../../rig/debian-archive.ts';
import { ensurePart, type Part } from '../../rig/part.ts';
import type { Report } from '../../rig/progress.ts';
import { type KernelSeries, kernelSeries, suites } from '../versions.ts';
import { guestRootPart } from './guest-root.ts';
import { kernelPart } from './kernel.ts';
import { patchedQemuPart } from './patched-qemu.ts';
import { programName, qemuPart, qemuProgram } from './qemu.ts';

/** Directories. */
export interface Toolchain {
  readonly qemu: string;
  readonly guest: string;
  readonly kernels: Readonly<Record<KernelSeries, string>>;
}

export async function ensureToolchain(report: Report, signal?: AbortSignal): Promise<Toolchain> {
  let opened: Promise<DebianArchive> | undefined;
  const archive = (): Promise<DebianArchive> => (opened ??= DebianArchive.open(suites));
  try {
    return await withCache('kernel', report, async (root) => {
      const ensure = (part: Part): Promise<string> => ensurePart(root, part, report, signal);
      const kernels: Partial<Record<KernelSeries, string>> = {};
      for (const series of kernelSeries) kernels[series] = await ensure(kernelPart(series, archive));
      return {
        kernels: kernels as Toolchain['kernels'],
        qemu: await ensure(qemuPart(archive)),
        guest: await ensure(guestRootPart(archive)),
      };
    });
  } finally {
    await (await opened?.catch(() => undefined))?.close();
  }
}

/** A QEMU whose root ports and switches carry NVIDIA's ids: the program that qemuCommand takes. */
export async function ensurePatchedQemu({ qemu }: Toolchain, report: Report): Promise<string> {
  const part = patchedQemuPart(qemuProgram(qemu));
  return join(await withCache('kernel', report, (root) => ensurePart(root, part, report)), programName);
}
