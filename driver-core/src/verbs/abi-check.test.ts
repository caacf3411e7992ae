import { describe, expect, it } from 'vitest';

import { Errno, refused } from '../host/host.ts';
import { applyChange } from '../virtual/changes.ts';
import type { HostExtension } from '../virtual/fixture.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import type { AbiReport } from './abi-check.ts';
import { checkAbi } from './abi-check.ts';

async function hostWith(extension: Partial<HostExtension> = {}): Promise<VirtualHost> {
  const fixture = await loadFixture('gb300-tray');
  return createVirtualHost({ ...fixture, extension: { ...fixture.extension!, ...extension } });
}

async function reportOn(host: VirtualHost, uverbs: string): Promise<AbiReport> {
  const report = await checkAbi(host, uverbs, uverbs);
  if (refused(report)) throw new Error(report.code);
  return report;
}

function differing({ answers }: AbiReport): string[] {
  return answers
    .filter(({ verdict }) => verdict === 'wrong')
    .map(({ step, answer, expected }) => `${step}: ${answer}, not ${expected}`);
}

describe('the raw sequence', () => {
  it.each<[string, string, Partial<HostExtension>, string[], string]>([
    ['a paired NIC', 'mlx5, paired', {}, [], 'uverbs0'],
    ['a NIC without DMA function', 'mlx5, not paired', {}, ['unbind', '0009:03:00.0'], 'uverbs0'],
    ['a kernel before data direct', 'mlx5 before data direct', { kernelRelease: '6.8.0' }, [], 'uverbs0'],
    ['a software device', 'without DMABUFs', {}, ['rxe-add', 'rxe0'], 'uverbs5'],
  ])('on %s is answered as the kernel’s sources say', async (_what, kind, extension, change, uverbs) => {
    const host = await hostWith(extension);
    if (change.length > 0) applyChange(host, change);
    const report = await reportOn(host, uverbs);
    expect(report.kind).toBe(kind);
    expect(differing(report)).toEqual([]);
    expect(report.answers.filter(({ verdict }) => verdict === 'right').length).toBeGreaterThan(24);
    expect(host.kernel.objects(7)).toEqual([]);
  });

  it('names each answer that is another', async () => {
    const host = await hostWith();
    applyChange(host, ['refuse', 'mlx5_0', 'register', '524']);
    const report = await reportOn(host, 'uverbs0');
    expect(differing(report)).toContain('data direct registration of a DMABUF: ENOTSUPP, not ok');
  });

  it('does not compare what depends on a pairing that the kernel does not tell', async () => {
    const host = await hostWith();
    applyChange(host, ['refuse', 'mlx5_0', 'path', 'EIO']);
    const { kind, answers } = await reportOn(host, 'uverbs0');
    expect(kind).toBeUndefined();
    expect(answers.find(({ step }) => step === 'data direct path')).toMatchObject({
      answer: 'EIO',
      verdict: 'not compared',
    });
    expect(answers.find(({ step }) => step === 'another ioctl')).toMatchObject({ verdict: 'right' });
  });

  it('goes without a DMABUF where none can be had', async () => {
    const host = await hostWith();
    host.dmabuf = async () => new Errno('ENODEV', 19, '/dev/udmabuf');
    const { answers } = await reportOn(host, 'uverbs0');
    expect(answers.find(({ step }) => step === 'data direct registration of a DMABUF')).toMatchObject({
      answer: 'not asked',
      verdict: 'not compared',
    });
  });

  it('says with which errno a node cannot be opened', async () => {
    expect(await checkAbi(await hostWith(), 'uverbs77', 'none')).toMatchObject({ code: 'ENOENT' });
  });
});
