// driver-core's verbs against the kernel's uverbs, answered by rdma_rxe: the common part of the ABI needs no ConnectX.
// The driver itself is another, so a request for mlx5_ib's own methods has to be refused as unknown.

import { beforeAll, describe, expect, test } from 'vitest';
import type { Machine } from '../machine.ts';

/** What the kernel answers to each request, in the order in which they are made. `ok`, or an errno. */
const expected: Readonly<Record<string, string>> = {
  'open before ib_uverbs is loaded': 'ENOENT',
  'data direct path, without a context': 'EPROTONOSUPPORT',
  'request that names another driver': 'EINVAL',
  context: 'ok',
  'context, again': 'EINVAL',
  'data direct path': 'EPROTONOSUPPORT',
  'protection domain': 'ok',
  'plain registration of a udmabuf': 'EOPNOTSUPP',
  'plain registration of no file': 'EOPNOTSUPP',
  'data direct registration of a udmabuf': 'EPROTONOSUPPORT',
  probe: 'EPROTONOSUPPORT',
  'memory region that is a protection domain': 'EINVAL',
  'end of the protection domain': 'ok',
  'end of the protection domain, again': 'ENOENT',
  'another ioctl': 'ENOTTY',
  'wrong length': 'EINVAL',
};

export function softwareDevice(machine: () => Machine): void {
  describe('uverbs of a software device', () => {
    let answers: Readonly<Record<string, string>> = {};

    beforeAll(async () => {
      answers = await machine().run((guest) => guest.askSoftwareDevice(), [], { timeoutMs: 60_000 });
    });

    test.each(Object.entries(expected))('%s: %s', (name, answer) => {
      expect(answers[name]).toBe(answer);
    });
  });
}
