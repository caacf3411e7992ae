// A kernel that lies: errnos that nobody has heard of at that call, answers of garbage, paths that do not end, calls that do not come back.

import {
  type Answer,
  type Device,
  type Dmabuf,
  Errno,
  type Host,
  type Pointer,
  withDoors,
} from '@data-direct/driver-core';
import * as fc from 'fast-check';
import { refused } from '../../../driver-core/src/host/host.ts';
import { judgeCommands, judgeRounds } from '../judge.ts';
import { hostOf, machineName } from '../machines.ts';
import { inTurn, type Target, target } from '../target.ts';

type Lie =
  | { readonly kind: 'errno'; readonly code: string; readonly number: number }
  /** The kernel's own answer, with every output filled with these bytes again and again. */
  | { readonly kind: 'outputs'; readonly fill: Buffer }
  /** The attributes too: handles, lengths and flags that were never there. */
  | { readonly kind: 'everything'; readonly fill: Buffer };

/** ETIMEDOUT and EBUSY are what a host says of a call that does not come back. */
const lie: fc.Arbitrary<Lie> = fc.oneof(
  fc
    .constantFrom<[string, number]>(
      ...Object.entries({ ETIMEDOUT: 110, EBUSY: 16, EIO: 5, ENODEV: 19, EINVAL: 22, ENOSPC: 28, EPERM: 1 }),
    )
    .map(([code, number]): Lie => ({ kind: 'errno', code, number })),
  fc.integer({ min: 1, max: 4095 }).map((number): Lie => ({ kind: 'errno', code: `E${number}`, number })),
  fc.record({ kind: fc.constantFrom('outputs', 'everything'), fill: filling() }),
);

function filling(): fc.Arbitrary<Buffer> {
  return fc.oneof(
    fc
      .constantFrom(
        '\xff',
        '\0',
        'x',
        '/devices/../../etc',
        '/devices/pci0009:00/0009:00:00.0\0',
        '\0/devices',
        '\u001b[2J\0',
      )
      .map((text) => Buffer.from(text, 'latin1')),
    fc.uint8Array({ minLength: 1, maxLength: 64 }).map((array) => Buffer.from(array)),
  );
}

const lies = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: lie }), {
  minLength: 1,
  maxLength: 40,
});

const ioctl = target(
  'ioctl',
  'whatever the kernel answers, every path has a reason',
  fc.record({
    machine: machineName,
    lies,
    opens: lies,
    buffers: lies,
    verification: fc.constantFrom('None' as const, 'Probe' as const, 'Registration' as const),
  }),
  async ({ machine, lies: told, opens, buffers, verification }) => {
    const host = lying(hostOf(machine), { ioctl: inTurn(told), open: inTurn(opens), dmabuf: inTurn(buffers) });
    await judgeRounds(host, [{ verification }, { verification, trigger: { kind: 'rescan' } }]);
    await judgeCommands(host, true);
  },
);

interface Tongues {
  readonly ioctl: () => Lie | undefined;
  readonly open: () => Lie | undefined;
  readonly dmabuf: () => Lie | undefined;
}

function lying(host: Host, next: Tongues): Host {
  return withDoors(host, {
    openDevice: async (path, device): Promise<Answer<Device>> => {
      const refusal = errnoOf(next.open(), path);
      const opened = refusal ?? (await host.openDevice(path, device));
      return refused(opened) ? opened : lyingDevice(opened, next.ioctl);
    },
    dmabuf: async (size): Promise<Answer<Dmabuf>> => errnoOf(next.dmabuf(), 'dmabuf') ?? host.dmabuf(size),
  });
}

function lyingDevice(device: Device, next: () => Lie | undefined): Device {
  return {
    close: () => device.close(),
    ioctl: async (request: number, bytes: Buffer, pointers: readonly Pointer[]): Promise<Answer<0>> => {
      const told = next();
      const answer = errnoOf(told, 'ioctl') ?? (await device.ioctl(request, bytes, pointers));
      if (!told || told.kind === 'errno') return answer;
      for (const { target: output } of pointers) output.fill(told.fill);
      if (told.kind === 'everything') bytes.fill(told.fill);
      return 0;
    },
  };
}

function errnoOf(told: Lie | undefined, what: string): Errno | undefined {
  return told?.kind === 'errno' ? new Errno(told.code, told.number, what) : undefined;
}

export const ioctlTargets: readonly Target[] = [ioctl];
