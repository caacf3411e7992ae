import { expect, it } from 'vitest';

import type { Device } from '../host/host.ts';
import { call, newHandle } from './request.ts';

const NEW = 7;

it('believes the kernel’s handles in the 32 bits that they have, whatever else is in the answer', async () => {
  const lying: Device = {
    ioctl: async (_request, bytes) => {
      bytes.fill(0xff);
      return 0;
    },
    close: async () => undefined,
  };
  const reply = await call(lying, { object: 1, method: 0 }, [newHandle(NEW)]);
  expect(typeof reply === 'function' && reply(NEW)).toBe(0xffff_ffff);
});
