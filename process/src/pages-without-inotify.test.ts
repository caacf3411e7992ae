// Nodes run out of inotify instances (fs.inotify.max_user_instances is 128 a user on many): the pages come all the same.
import { fileURLToPath } from 'node:url';

import { expect, test, vi } from 'vitest';

import { servePages } from './pages.ts';

vi.mock('node:fs', async (original) => ({
  ...(await original<object>()),
  watch: () => {
    throw Object.assign(new Error('EMFILE: too many open files, watch'), { code: 'EMFILE' });
  },
}));

test('where a certificate cannot be watched it is served, and that is told', async () => {
  const loopback = fileURLToPath(new URL('../../kube/src/fixtures/loopback', import.meta.url));
  const errors: unknown[] = [];
  const server = await servePages({
    address: '127.0.0.1',
    port: 0,
    tls: { certificate: `${loopback}.crt`, key: `${loopback}.key` },
    pages: {},
    onError: (error) => errors.push(error),
  });
  expect(server.port).toBeGreaterThan(0);
  expect(errors).toEqual([expect.objectContaining({ code: 'EMFILE' })]);
  server.close();
});
