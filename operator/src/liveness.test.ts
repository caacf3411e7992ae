import { ManualClock } from '@data-direct/kube/virtual';
import { expect, test } from 'vitest';

import { Liveness } from './liveness.ts';

const period = 300_000;

test('a node is silent two and a half periods after its last beat, and alive as soon as it beats', async () => {
  const clock = new ManualClock();
  const liveness = new Liveness(clock, period);
  liveness.beat('a');
  await clock.advance(2.5 * period - 1);
  expect([liveness.of('a'), liveness.silentIn('a')]).toEqual(['alive', 1]);
  await clock.advance(1);
  expect([liveness.of('a'), liveness.silentIn('a')]).toEqual(['silent', undefined]);
  liveness.beat('a');
  expect(liveness.of('a')).toBe('alive');
});

test('a node that never beat is awaited for as long, from when it was first asked for', async () => {
  const clock = new ManualClock();
  const liveness = new Liveness(clock, period);
  await clock.advance(10 * period);
  expect(liveness.of('a')).toBe('awaited');
  await clock.advance(2.5 * period);
  expect(liveness.of('a')).toBe('silent');
});

test('time in which the server could not be heard counts for nobody; who was silent before stays so', async () => {
  const clock = new ManualClock();
  const liveness = new Liveness(clock, period);
  liveness.beat('quiet');
  await clock.advance(2 * period);
  liveness.beat('a');
  await clock.advance(period);
  for (let retry = 0; retry < 100; retry += 1) {
    liveness.deaf();
    await clock.advance(30_000);
  }
  expect([liveness.of('quiet'), liveness.of('a')]).toEqual(['silent', 'alive']);
});

test('a node that was forgotten starts afresh', async () => {
  const clock = new ManualClock();
  const liveness = new Liveness(clock, period);
  liveness.beat('a');
  await clock.advance(3 * period);
  liveness.forget('a');
  expect(liveness.of('a')).toBe('awaited');
});
