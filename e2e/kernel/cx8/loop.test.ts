import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Loop } from './loop.ts';
import { accept, connect, listen, send } from './native.ts';

class SteeredLoop extends Loop {
  time = 0;

  override now(): number {
    return this.time;
  }
}

let directory: string;
let loop: SteeredLoop;
let fds: number[];

/** Two ends of a socket. */
function pair(name: string): { near: number; far: number } {
  const listener = listen(join(directory, name));
  const far = connect(join(directory, name));
  const near = accept(listener);
  if (near === undefined) throw new Error('nobody connected');
  fds.push(listener, far, near);
  return { near, far };
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'loop-test-'));
  loop = new SteeredLoop();
  fds = [];
});

afterEach(() => {
  for (const fd of fds) closeSync(fd);
  rmSync(directory, { recursive: true });
});

describe('the loop', () => {
  it('does work when its time has come, once, and in the order in which it was asked for', () => {
    const done: string[] = [];
    loop.after(10, () => done.push('later'));
    loop.after(5, () => done.push('soon'));
    loop.after(5, () => done.push('then'));
    loop.turn(0);
    expect(done).toEqual([]);
    loop.time = 5;
    loop.turn(0);
    expect(done).toEqual(['soon', 'then']);
    loop.time = 100;
    loop.turn(0);
    loop.turn(0);
    expect(done).toEqual(['soon', 'then', 'later']);
  });

  it('leaves work that work asks for to a later turn', () => {
    let times = 0;
    const again = (): void => {
      times += 1;
      loop.after(0, again);
    };
    loop.after(0, again);
    loop.turn(0);
    expect(times).toBe(1);
    loop.turn(0);
    expect(times).toBe(2);
  });

  it('calls whoever can read, and nobody who cannot', () => {
    const [first, second] = [pair('first'), pair('second')];
    const called: string[] = [];
    loop.onReadable(first.near, () => called.push('first'));
    loop.onReadable(second.near, () => called.push('second'));
    send(second.far, Buffer.from('x'));
    loop.turn(0);
    expect(called).toEqual(['second']);
  });

  it('does not call one that another has told it to forget in the same turn', () => {
    const [first, second] = [pair('first'), pair('second')];
    const called: string[] = [];
    loop.onReadable(first.near, () => {
      called.push('first');
      loop.forget(second.near);
    });
    loop.onReadable(second.near, () => called.push('second'));
    for (const { far } of [first, second]) send(far, Buffer.from('x'));
    loop.turn(0);
    expect(called).toEqual(['first']);
  });

  it('looks at its sockets between pieces of work that take long', () => {
    const { near, far } = pair('one');
    const done: string[] = [];
    loop.onReadable(near, () => done.push('socket'));
    for (const name of ['first', 'second', 'third']) {
      loop.after(0, () => {
        done.push(name);
        loop.time += 6;
      });
    }
    send(far, Buffer.from('x'));
    loop.turn(0);
    loop.turn(0);
    expect(done).toEqual(['socket', 'first', 'second', 'socket', 'third']);
  });

  it('takes turns among those that always ask for more', () => {
    const done: string[] = [];
    const forever = (name: string) => (): void => {
      done.push(name);
      loop.time += 20;
      loop.after(0, forever(name));
    };
    for (const name of ['first', 'second']) loop.after(0, forever(name));
    for (let turn = 0; turn < 4; turn += 1) loop.turn(0);
    expect(done).toEqual(['first', 'second', 'first', 'second']);
  });
});
