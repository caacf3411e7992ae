import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { refused } from '../host/host.ts';
import type { VirtualHost } from '../virtual/host.ts';
import { createVirtualHost } from '../virtual/host.ts';
import { loadFixture } from '../virtual/load.ts';
import * as abi from './abi.ts';
import { Context } from './context.ts';
import type { ProtectionDomain } from './context.ts';
import { Refusal } from './errors.ts';
import { MemoryRegion, registerDmabuf } from './memory-region.ts';
import type { Access, Registration } from './registration.ts';
import { checked, RegistrationError } from './registration.ts';
import { call, handle, input32, input64, newHandle, output } from './request.ts';

const GRACE = 65_536;

function broken(asked: Registration, pageSize = GRACE): RegistrationError {
  try {
    checked(asked, pageSize);
  } catch (error) {
    if (error instanceof RegistrationError) return error;
    throw error;
  }
  throw new Error('nothing is wrong with it');
}

describe('a registration that cannot succeed is told', () => {
  it('to use other addresses on a kernel of 64 KiB pages, where a kernel of 4 KiB pages takes it', () => {
    const asked = { fd: 9, length: 8192, iova: 0x1000, offset: 0x1000 };
    expect(broken(asked)).toMatchObject({ code: 'REGISTRATION_IOVA_UNALIGNED' });
    expect(broken(asked).message).toBe(
      'iova 0x1000 is not a multiple of the system page, 65536 bytes on this kernel; use 0x0 or 0x10000, and a range that covers what is needed from there',
    );
    expect(checked(asked, 4096)).toMatchObject({ iova: 0x1000n });
    expect(broken({ ...asked, iova: 0 })).toMatchObject({ code: 'REGISTRATION_OFFSET_UNALIGNED' });
  });

  it('which access it lacks or cannot have', () => {
    const { message, code } = broken({ fd: 9, length: GRACE, access: ['REMOTE_WRITE', 'REMOTE_ATOMIC'] });
    expect(code).toBe('REGISTRATION_ACCESS_INCOMPLETE');
    expect(message).toBe('access has REMOTE_WRITE and REMOTE_ATOMIC without LOCAL_WRITE; add LOCAL_WRITE');
    const paged = broken({ fd: 9, length: GRACE, access: ['ON_DEMAND' as Access] });
    expect(paged.code).toBe('REGISTRATION_ACCESS_UNKNOWN');
    expect(paged.message).toContain('pinned and cannot be paged on demand; use LOCAL_WRITE, ');
  });

  it.each<[string, Partial<Registration>, string]>([
    ['is empty', { length: 0 }, 'REGISTRATION_EMPTY'],
    ['ends beyond 64 bits', { offset: 2n ** 64n - 65_536n, length: 65_537n }, 'REGISTRATION_OVERFLOW'],
    [
      'has an address that ends beyond 64 bits',
      { iova: 2n ** 64n - 65_536n, length: 131_072 },
      'REGISTRATION_OVERFLOW',
    ],
    ['begins before its buffer', { offset: -65_536 }, 'REGISTRATION_NUMBER_INVALID'],
    ['has a length that is no whole number', { length: 1.5 }, 'REGISTRATION_NUMBER_INVALID'],
    ['has a number that JavaScript has rounded', { length: 2 ** 60 }, 'REGISTRATION_NUMBER_INVALID'],
    ['has no file', { fd: -1 }, 'REGISTRATION_NUMBER_INVALID'],
  ])('when it %s', (_what, changes, code) => {
    expect(broken({ fd: 9, length: GRACE, ...changes })).toMatchObject({ code });
  });
});

async function hostWith(pageSize: 4096 | 65536): Promise<VirtualHost> {
  const fixture = await loadFixture('gb300-tray');
  return createVirtualHost({ ...fixture, extension: { ...fixture.extension!, pageSize } });
}

async function pdOn(host: VirtualHost): Promise<ProtectionDomain> {
  const context = await Context.open(host, 'uverbs0', '0000:03:00.0');
  if (context instanceof Refusal) throw new Error(context.call);
  const pd = await context.allocPd();
  if (pd instanceof Refusal) throw new Error(pd.call);
  return pd;
}

/** The request as the kernel sees it, unchecked. */
async function unchecked(pd: ProtectionDomain, { fd, length, offset, iova, access }: ReturnType<typeof checked>) {
  const answer = await call(pd.device, { object: abi.UVERBS_OBJECT_MR, method: abi.UVERBS_METHOD_REG_DMABUF_MR }, [
    newHandle(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    handle(abi.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd.handle),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, offset),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, length),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_IOVA, iova),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_FD, fd),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, access),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, Buffer.alloc(4)),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, Buffer.alloc(4)),
    input32(abi.MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, abi.MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT),
  ]);
  return refused(answer) ? answer.code : 'ok';
}

describe('a registration on a healthy path', () => {
  it.each<4096 | 65536>([4096, 65536])(
    'that passes the checks is made by a kernel of %i byte pages, and one that fails them is refused',
    async (pageSize) => {
      const host = await hostWith(pageSize);
      const pd = await pdOn(host);
      const dmabuf = await host.dmabuf(16 * pageSize);
      if (refused(dmabuf)) throw new Error(dmabuf.code);
      const place = fc
        .integer({ min: 0, max: 8 })
        .chain((page) => fc.constantFrom(page * pageSize, page * pageSize + 4096, page * pageSize + 8));
      const names: Access[] = ['LOCAL_WRITE', 'REMOTE_WRITE', 'REMOTE_READ', 'REMOTE_ATOMIC', 'RELAXED_ORDERING'];
      const asked = fc.record({
        offset: place,
        iova: place,
        length: fc.integer({ min: 0, max: 4 * pageSize }),
        access: fc.subarray(names),
      });
      const flags: Record<Access, number> = {
        LOCAL_WRITE: 1,
        REMOTE_WRITE: 2,
        REMOTE_READ: 4,
        REMOTE_ATOMIC: 8,
        RELAXED_ORDERING: 0x100000,
      };
      await fc.assert(
        fc.asyncProperty(asked, async (registration) => {
          const whole = { fd: dmabuf.fd, ...registration };
          const raw = await unchecked(pd, {
            fd: dmabuf.fd,
            length: BigInt(whole.length),
            offset: BigInt(whole.offset),
            iova: BigInt(whole.iova),
            access: whole.access.reduce((sum, name) => sum + flags[name], 0),
          });
          const made = await registerDmabuf(pd, whole).catch((error: unknown) => error);
          expect(made).toBeInstanceOf(raw === 'ok' ? MemoryRegion : RegistrationError);
        }),
      );
    },
  );

  it('has its keys and length, and ends once', async () => {
    const host = await hostWith(65536);
    const pd = await pdOn(host);
    const dmabuf = await host.dmabuf(4 * GRACE);
    if (refused(dmabuf)) throw new Error(dmabuf.code);
    const region = await registerDmabuf(pd, { fd: dmabuf.fd, length: GRACE, offset: GRACE, iova: 2 * GRACE });
    if (region instanceof Refusal) throw new Error(region.errno.code);
    expect(region).toMatchObject({ length: 65_536n, iova: 131_072n, state: 'live' });
    expect(region.lkey).toBeGreaterThan(0);
    expect(await pd.destroy()).toMatchObject({ code: 'EBUSY' });
    expect(await region.deregister()).toBe(0);
    expect(await region.deregister()).toBe(0);
    expect(region.state).toBe('deregistered');
    expect(await pd.destroy()).toBe(0);
  });

  it('that was revoked says why, and can still be deregistered', async () => {
    const host = await hostWith(65536);
    const pd = await pdOn(host);
    const dmabuf = await host.dmabuf(GRACE);
    if (refused(dmabuf)) throw new Error(dmabuf.code);
    const region = await registerDmabuf(pd, { fd: dmabuf.fd, length: GRACE });
    if (region instanceof Refusal) throw new Error(region.errno.code);
    const told: unknown[] = [];
    region.revoked.addEventListener('abort', () => told.push(region.revoked.reason));
    const reason = new Error('gone');
    region.revoke(reason);
    expect(region.state).toBe('revoked');
    expect(told).toEqual([reason]);
    expect(await region.deregister()).toBe(0);
    expect(region.state).toBe('deregistered');
  });
});
