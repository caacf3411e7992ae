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

    test('data moves between two memory regions, by WRITE and by READ', async () => {
      const outcome = await machine().run(async ({ libibverbs: { Verbs, ACCESS }, addressOf }) => {
        const verbs = new Verbs('rxe0');
        const { from: qp } = verbs.connect(verbs);
        const [here, there] = [Buffer.alloc(65536), Buffer.alloc(65536)];
        const access = ACCESS.LOCAL_WRITE | ACCESS.REMOTE_WRITE | ACCESS.REMOTE_READ;
        const local = { address: addressOf(here), ...verbs.register(here, access) };
        const remote = { address: addressOf(there), ...verbs.register(there, access) };
        here.fill('written ');
        const write = await verbs.transfer(qp, { operation: 'write', local, remote, length: 65536 });
        const written = here.equals(there);
        there.fill('read ');
        const read = await verbs.transfer(qp, { operation: 'read', local, remote, length: 65536 });
        const outcomes = [write, written, read, here.equals(there)];
        verbs.close();
        return outcomes;
      }, []);
      expect(outcome).toEqual(['success', true, 'success', true]);
    });

    test('a key that nobody gave out reaches nothing', async () => {
      const outcome = await machine().run(async ({ libibverbs: { Verbs, ACCESS }, addressOf }) => {
        const verbs = new Verbs('rxe0');
        const { from: qp } = verbs.connect(verbs);
        const [here, there] = [Buffer.alloc(4096, 'x'), Buffer.alloc(4096)];
        const local = { address: addressOf(here), ...verbs.register(here, ACCESS.LOCAL_WRITE) };
        const { rkey } = verbs.register(there, ACCESS.LOCAL_WRITE | ACCESS.REMOTE_WRITE);
        const remote = { address: addressOf(there), rkey: rkey ^ 0xff };
        const status = await verbs.transfer(qp, { operation: 'write', local, remote, length: 4096 });
        verbs.close();
        return [status, there.every((byte) => byte === 0)];
      }, []);
      expect(outcome).toEqual(['remote access error', true]);
    });
  });
}
