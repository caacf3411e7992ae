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
      const outcome = await machine().run(async ({ ReliableConnection, pages }) => {
        const connection = new ReliableConnection('rxe0');
        const [here, there] = [pages(65536), pages(65536)];
        const [local, remote] = [connection.register(here), connection.register(there)];
        here.bytes.fill('written ');
        const write = await connection.transfer('write', local, remote, 65536);
        const written = here.bytes.equals(there.bytes);
        there.bytes.fill('read ');
        const read = await connection.transfer('read', local, remote, 65536);
        const outcomes = [write, written, read, here.bytes.equals(there.bytes)];
        connection.close();
        return outcomes;
      }, []);
      expect(outcome).toEqual(['success', true, 'success', true]);
    });

    test('a key that nobody gave out reaches nothing', async () => {
      const outcome = await machine().run(async ({ ReliableConnection, pages }) => {
        const connection = new ReliableConnection('rxe0');
        const [here, there] = [pages(4096), pages(4096)];
        const [local, remote] = [connection.register(here), connection.register(there)];
        here.bytes.fill('x');
        const status = await connection.transfer('write', local, { ...remote, rkey: remote.rkey ^ 0xff }, 4096);
        connection.close();
        return [status, there.bytes.every((byte) => byte === 0)];
      }, []);
      expect(outcome).toEqual(['remote access error', true]);
    });
  });
}
