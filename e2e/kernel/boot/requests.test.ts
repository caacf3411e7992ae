import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Requests } from './requests.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Remembers under which ids requests were sent. */
function sent(): { ids: number[]; send: (id: number) => void } {
  const ids: number[] = [];
  return { ids, send: (id) => void ids.push(id) };
}

describe('a request', () => {
  it('gets the answer with its own number', async () => {
    const requests = new Requests();
    const { ids, send } = sent();
    const both = Promise.all([requests.make('first', 1000, send), requests.make('second', 1000, send)]);
    requests.finish(ids[1] ?? 0, 'to the second');
    requests.finish(ids[0] ?? 0, 'to the first');
    expect(await both).toEqual(['to the first', 'to the second']);
  });

  it('that is not answered ends, and a late answer does no harm', async () => {
    const requests = new Requests();
    const { ids, send } = sent();
    const waiting = requests.make('a question', 3000, send);
    vi.advanceTimersByTime(3000);
    await expect(waiting).rejects.toThrow('a question had no answer within 3 s');
    requests.finish(ids[0] ?? 0, 'late');
  });

  it('fails when the other side begins anew, and one that is made later is sent', async () => {
    const requests = new Requests();
    const { ids, send } = sent();
    const before = requests.make('before', 1000, send);
    requests.failPending(new Error('reset'));
    await expect(before).rejects.toThrow('reset');
    const after = requests.make('after', 1000, send);
    requests.finish(ids[1] ?? 0, 'answered');
    expect(await after).toBe('answered');
  });

  it('fails when the other side is gone, also when it is made later, and is then not sent', async () => {
    const requests = new Requests();
    const { ids, send } = sent();
    const before = requests.make('before', 1000, send);
    requests.failAll(new Error('gone'));
    await expect(before).rejects.toThrow('gone');
    await expect(requests.make('after', 1000, send)).rejects.toThrow('gone');
    expect(ids).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
