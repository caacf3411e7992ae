import { describe, expect, it } from 'vitest';

import { ManualClock } from '../virtual/clock.ts';
import type { Answer } from './host.ts';
import { blockedCalls, Lanes } from './lanes.ts';

const BUDGET = 5000;

/** A call that ends when the test says so. */
function hanging<T>() {
  const { promise, resolve } = Promise.withResolvers<Answer<T>>();
  let started = 0;
  const operation = (): Promise<Answer<T>> => {
    started += 1;
    return promise;
  };
  return { operation, end: resolve, starts: () => started };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}

function rig(threads = 2) {
  const clock = new ManualClock();
  return { clock, lanes: new Lanes(clock, { budgetMs: BUDGET, threads }) };
}

const quick = async (): Promise<string> => 'done';

describe('a call that reaches a device', () => {
  it('is answered, and leaves no timer behind', async () => {
    const { clock, lanes } = rig();
    expect(await lanes.run('A', 'read', quick)).toBe('done');
    expect(clock.sleepers).toBe(0);
  });

  it('times out when the device hangs; the next is told so at once, and the device is used again when it answers', async () => {
    const { clock, lanes } = rig();
    const call = hanging<string>();
    const answer = lanes.run('A', 'open', call.operation);
    await settle();
    clock.advance(BUDGET);
    expect(await answer).toMatchObject({ code: 'ETIMEDOUT', number: 110, what: 'open' });
    expect(await lanes.run('A', 'read', quick)).toMatchObject({ code: 'EBUSY', number: 16, what: 'read' });
    expect(blockedCalls()).toBe(1);

    call.end('at last');
    await settle();
    expect(blockedCalls()).toBe(0);
    expect(await lanes.run('A', 'read', quick)).toBe('done');
  });

  it('of one device does not keep another waiting', async () => {
    const { clock, lanes } = rig();
    const call = hanging<string>();
    const answer = lanes.run('A', 'open', call.operation);
    expect(await lanes.run('B', 'open', quick)).toBe('done');
    call.end('done');
    expect(await answer).toBe('done');
    expect(clock.sleepers).toBe(0);
  });

  it('waits for the one before it on the same device, so that never two are in the kernel', async () => {
    const { clock, lanes } = rig();
    const first = hanging<string>();
    const second = hanging<string>();
    const answers = [lanes.run('A', 'first', first.operation), lanes.run('A', 'second', second.operation)];
    await settle();
    expect([first.starts(), second.starts()]).toEqual([1, 0]);
    first.end('one');
    second.end('two');
    expect(await Promise.all(answers)).toEqual(['one', 'two']);
    expect(clock.sleepers).toBe(0);
  });

  it('that waited behind a hanging one is never started', async () => {
    const { clock, lanes } = rig();
    const first = hanging<string>();
    const second = hanging<string>();
    const answers = [lanes.run('A', 'first', first.operation), lanes.run('A', 'second', second.operation)];
    await settle();
    clock.advance(BUDGET);
    expect(await Promise.all(answers)).toMatchObject([{ code: 'ETIMEDOUT' }, { code: 'EBUSY' }]);
    first.end('late');
    await settle();
    expect(second.starts()).toBe(0);
  });

  it('takes no more threads than it may, whatever the number of devices', async () => {
    const { clock, lanes } = rig(2);
    const calls = ['A', 'B', 'C'].map((device) => ({ device, ...hanging<string>() }));
    const answers = calls.map(({ device, operation }) => lanes.run(device, 'open', operation));
    await settle();
    expect(calls.map(({ starts }) => starts())).toEqual([1, 1, 0]);
    calls[0]?.end('done');
    await settle();
    expect(calls[2]?.starts()).toBe(1);
    for (const { end } of calls) end('done');
    expect(await Promise.all(answers)).toEqual(['done', 'done', 'done']);
    expect(clock.sleepers).toBe(0);
  });

  it('hands over what it brings too late, so that it can be closed', async () => {
    const { clock, lanes } = rig();
    const call = hanging<number>();
    const late: Answer<number>[] = [];
    const answer = lanes.run('A', 'open', call.operation, (fd) => late.push(fd));
    await settle();
    clock.advance(BUDGET);
    await answer;
    call.end(7);
    await settle();
    expect(late).toEqual([7]);
  });

  it('that fails by a mistake of ours is not taken for an answer', async () => {
    const { lanes } = rig();
    await expect(lanes.run('A', 'open', () => Promise.reject(new TypeError('wrong')))).rejects.toThrow('wrong');
    expect(await lanes.run('A', 'read', quick)).toBe('done');
  });
});

describe('closing a device', () => {
  it('waits until its call has ended', async () => {
    const { lanes } = rig();
    const call = hanging<string>();
    const order: string[] = [];
    const answer = lanes.run('A', 'ioctl', async () => {
      const ended = await call.operation();
      order.push('ioctl');
      return ended;
    });
    const closed = lanes.afterwards('A', async () => void order.push('close'));
    call.end('done');
    await Promise.all([answer, closed]);
    expect(order).toEqual(['ioctl', 'close']);
  });

  it('of a hanging one is left to the end of its call, and nobody waits for it', async () => {
    const { clock, lanes } = rig();
    const call = hanging<string>();
    const answer = lanes.run('A', 'ioctl', call.operation);
    await settle();
    clock.advance(BUDGET);
    await answer;
    let closed = false;
    await lanes.afterwards('A', async () => {
      closed = true;
    });
    expect(closed).toBe(false);
    call.end('late');
    await settle();
    expect(closed).toBe(true);
  });
});
