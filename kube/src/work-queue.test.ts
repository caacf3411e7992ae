// What a controller may rely on when it puts keys into the queue.
import { expect, onTestFinished, test } from 'vitest';
import { KubeError } from './error.ts';
import { ManualClock, until } from './virtual/index.ts';
import { WorkQueue, type WorkQueueOptions } from './work-queue.ts';

interface Rig {
  queue: WorkQueue;
  clock: ManualClock;
  /** Keys in the order their rounds began. */
  rounds: string[];
  errors: { key: string; failures: number }[];
}

function rig(options: Partial<WorkQueueOptions> = {}): Rig {
  const clock = new ManualClock();
  const rounds: string[] = [];
  const errors: Rig['errors'] = [];
  const { work = () => Promise.resolve(), ...rest } = options;
  const queue = new WorkQueue({
    work: (key, signal) => {
      rounds.push(key);
      return work(key, signal);
    },
    onError: (key, _, failures) => errors.push({ key, failures }),
    clock,
    ...rest,
  });
  onTestFinished(() => queue.stop());
  return { queue, clock, rounds, errors };
}

/** Work that ends when the test says so. */
function gate(): { work: () => Promise<void>; open: () => void } {
  let release: (() => void)[] = [];
  return {
    work: () => new Promise((resolve) => void release.push(resolve)),
    open: () => {
      for (const resolve of release) resolve();
      release = [];
    },
  };
}

test('a key added many times before its turn gets one round, and keys get their turn in order', async () => {
  const { queue, rounds } = rig();
  for (let times = 0; times < 1000; times++) for (const key of ['a', 'b', 'c']) queue.add(key);
  await until(() => queue.size === 0);
  expect(rounds).toEqual(['a', 'b', 'c']);
});

test('a key added during its own round gets one more round after it, never beside it', async () => {
  const { work, open } = gate();
  const { queue, rounds } = rig({ work, workers: 4 });
  queue.add('a');
  await until(() => rounds.length === 1);
  queue.add('a');
  queue.add('a');
  queue.add('b');
  await until(() => rounds.length === 2);
  expect(rounds).toEqual(['a', 'b']);
  open();
  await until(() => rounds.length === 3);
  open();
  await until(() => queue.size === 0);
  expect(rounds).toEqual(['a', 'b', 'a']);
});

test('no more rounds run at the same time than there are workers', async () => {
  const { work, open } = gate();
  const { queue, rounds } = rig({ work, workers: 2 });
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await until(() => rounds.length === 2);
  expect(queue.size).toBe(3);
  open();
  await until(() => rounds.length === 3);
  open();
});

test('a key that fails comes again after 0.5, 1, 2, … s less jitter, and from the start once it has succeeded', async () => {
  let fails = true;
  const work = (): Promise<void> => (fails ? Promise.reject(new Error('not yet')) : Promise.resolve());
  const { queue, clock, rounds, errors } = rig({ work, maxRetryMs: 4_000 });
  queue.add('a');
  for (const whole of [500, 1_000, 2_000, 4_000, 4_000]) {
    const wait = await clock.skip();
    expect(wait).toBeGreaterThanOrEqual(whole / 2);
    expect(wait).toBeLessThanOrEqual(whole);
  }
  expect(errors.at(-1)).toEqual({ key: 'a', failures: 6 });
  fails = false;
  await clock.skip();
  await until(() => queue.size === 0);
  expect(rounds).toHaveLength(7);
  fails = true;
  queue.add('a');
  expect(await clock.skip()).toBeLessThanOrEqual(500);
});

test('a success clears the failures also of a key that has a later wish', async () => {
  const results = [new Error('first'), undefined, new Error('third')];
  const { queue, clock, errors } = rig({
    work: (key) => {
      const failure = results.shift();
      if (failure) return Promise.reject(failure);
      queue.addAfter(key, 60_000);
      return Promise.resolve();
    },
  });
  queue.add('a');
  await clock.skip();
  expect(await clock.skip()).toBe(60_000);
  await until(() => errors.length === 2);
  expect(errors).toEqual([
    { key: 'a', failures: 1 },
    { key: 'a', failures: 1 },
  ]);
});

test('a failing key does not hold up the others', async () => {
  const { queue, rounds, errors } = rig({
    work: (key) => (key === 'bad' ? Promise.reject(new Error('bad')) : Promise.resolve()),
  });
  queue.add('bad');
  queue.add('good');
  await until(() => rounds.length === 2);
  expect([rounds, errors]).toEqual([['bad', 'good'], [{ key: 'bad', failures: 1 }]]);
});

test('a new event brings a key that backs off forward, but it can not spin', async () => {
  const { queue, clock, rounds } = rig({ work: () => Promise.reject(new Error('never')) });
  queue.add('a');
  for (let times = 0; times < 5; times++) await clock.skip();
  const before = rounds.length;
  queue.add('a');
  queue.add('a');
  expect(await clock.skip()).toBeLessThanOrEqual(500);
  expect(rounds).toHaveLength(before + 1);
});

test('a server that says when to come again is obeyed', async () => {
  const busy = new KubeError('KUBE_TOO_MANY_REQUESTS', 'busy', { retryAfterMs: 42_000 });
  const { queue, clock } = rig({ work: () => Promise.reject(busy) });
  queue.add('a');
  expect(await clock.skip()).toBeGreaterThanOrEqual(42_000);
});

test('a server that says when to come again is obeyed, whatever happens meanwhile', async () => {
  const busy = new KubeError('KUBE_TOO_MANY_REQUESTS', 'busy', { retryAfterMs: 42_000 });
  const { queue, clock, rounds, errors } = rig({ work: () => Promise.reject(busy) });
  queue.add('a');
  await until(() => errors.length === 1);
  queue.add('a');
  queue.addAfter('a', 250);
  await clock.advance(41_999);
  expect(rounds).toEqual(['a']);
});

test('of several later wishes the earliest counts, and a round now makes them void', async () => {
  const { queue, clock, rounds } = rig();
  queue.addAfter('a', 60_000);
  queue.addAfter('a', 10_000);
  queue.addAfter('a', 30_000);
  expect(await clock.skip()).toBe(10_000);
  await until(() => queue.size === 0);
  expect([rounds, clock.waiting]).toEqual([['a'], 0]);
  queue.addAfter('b', 10_000);
  queue.add('b');
  await until(() => queue.size === 0);
  expect([rounds, clock.waiting]).toEqual([['a', 'b'], 0]);
});

test('a round may ask for the next one', async () => {
  const { queue, clock, rounds } = rig({
    work: (key) => Promise.resolve(queue.addAfter(key, 5_000)),
  });
  queue.add('a');
  expect([await clock.skip(), await clock.skip()]).toEqual([5_000, 5_000]);
  expect(rounds).toEqual(['a', 'a', 'a']);
});

test('a key beyond the limit is refused aloud; keys already known are not', async () => {
  const { work, open } = gate();
  const { queue, rounds } = rig({ work, limit: 2, workers: 2 });
  queue.add('a');
  queue.add('b');
  queue.add('b');
  expect(() => queue.add('c')).toThrow(/holds 2 keys: c was not taken/);
  await until(() => rounds.length === 2);
  open();
});

test('stop waits for the round that runs, tells it to hurry, and starts no other', async () => {
  let seen: AbortSignal | undefined;
  const { work, open } = gate();
  const { queue, clock, rounds } = rig({
    work: (_, signal) => {
      seen = signal;
      return work();
    },
  });
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 1_000);
  await until(() => rounds.length === 1);
  let stopped = false;
  const stopping = queue.stop().then(() => (stopped = true));
  queue.add('a');
  expect([seen?.aborted, stopped]).toEqual([true, false]);
  open();
  await stopping;
  await clock.advance(10_000);
  queue.add('d');
  queue.addAfter('d', 1);
  await clock.advance(10_000);
  expect([rounds, queue.size, clock.waiting]).toEqual([['a'], 0, 0]);
});
