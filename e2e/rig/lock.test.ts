import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from './lock.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-test-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the lock', () => {
  it('lets the second run begin when the first has ended, and tells it that it waits', async () => {
    const file = join(directory, 'below/lock');
    const order: string[] = [];
    const entered = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    const first = withLock({ file, waitSeconds: 0 }, async () => {
      entered.resolve();
      await mayEnd.promise;
      order.push('first ended');
    });
    await entered.promise;
    const onWait = (): void => {
      order.push('second waits');
      mayEnd.resolve();
    };
    await Promise.all([first, withLock({ file, waitSeconds: 20, onWait }, async () => order.push('second began'))]);
    expect(order).toEqual(['second waits', 'first ended', 'second began']);
  });

  it('is free again after a run that failed', async () => {
    const lock = { file: join(directory, 'lock'), waitSeconds: 0 };
    await expect(withLock(lock, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await withLock(lock, async () => 'free')).toBe('free');
  });

  it('is given up on after the time that was set', async () => {
    const lock = { file: join(directory, 'lock'), waitSeconds: 0 };
    await withLock(lock, async () => {
      await expect(withLock(lock, async () => undefined)).rejects.toMatchObject({
        code: 'LOCK_TIMED_OUT',
        fields: { file: lock.file, seconds: 0 },
      });
    });
  });
});
