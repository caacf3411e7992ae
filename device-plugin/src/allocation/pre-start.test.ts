// PreStartContainer against a device that does not answer: the kubelet gives up after 30 s, and a person should read our sentence before.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { assignment, resource, tray } from '../test-support.ts';
import { passes } from './pre-start.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const { pools, paths } = assignment({ resources: [resource({ verification: { level: 'Registration' } })] });
const [pool] = pools;
const [id = ''] = tray().map((path) => path.id);

test('a container whose device hangs is kept from starting after twelve seconds, by name and with what a person can look for', async () => {
  if (!pool) throw new Error('no pool');
  const outcome = passes(pool, [id], paths, () => new Promise(() => {})).catch((error: unknown) => error);
  const told = vi.fn();
  void outcome.then(told);
  await vi.advanceTimersByTimeAsync(11_900);
  expect(told).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(200);
  expect(await outcome).toMatchObject({
    code: 'PATH_NOT_VERIFIED',
    fields: { ids: [id], reason: 'DeviceUnresponsive' },
    message: `path ${id} of datadirect.dev/path did not pass Registration before the start of a container: DeviceUnresponsive, it took longer than 12 s`,
  });
  expect(vi.getTimerCount()).toBe(0);
});

test('an answer that comes after the limit was reached is nobody’s, and no unhandled error', async () => {
  if (!pool) throw new Error('no pool');
  const late = Promise.withResolvers<ReturnType<typeof tray>>();
  const outcome = passes(pool, [id], paths, () => late.promise).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(12_000);
  late.reject(new Error('the device went away'));
  expect(await outcome).toMatchObject({ code: 'PATH_NOT_VERIFIED' });
});
