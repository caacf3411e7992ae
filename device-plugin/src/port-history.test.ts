// A port that flaps is kept from pods until it is steady; one that fell once is not.
import { expect, test } from 'vitest';

import { PortHistory } from './port-history.ts';
import { path } from './test-support.ts';

const MINUTE = 60_000;
const up = path(0);
const down = { ...path(0, 'PortDown'), nic: { ...up.nic, portState: 'DOWN' } };

/** What the path counts as after each of these, in minutes. */
function seen(history: PortHistory, ...steps: [minute: number, now: typeof up][]): string[] {
  return steps.map(([minute, now]) => history.steady([now], minute * MINUTE)[0]?.reason ?? '');
}

test('a port that fell once is back at once', () => {
  expect(seen(new PortHistory(), [0, up], [1, down], [2, up])).toEqual(['Paired', 'PortDown', 'Paired']);
});

test('at the third fall within five minutes it counts only after a minute of being up', () => {
  const history = new PortHistory();
  seen(history, [0, up], [0.5, down], [1, up], [1.5, down], [2, up], [2.5, down]);
  const [held] = history.steady([up], 3 * MINUTE);
  expect(held).toMatchObject({ state: 'Unavailable', reason: 'PortDown' });
  expect(held?.message).toContain('fell 3 times within 5 minutes');
  expect(history.nextSteady(3 * MINUTE)).toBe(4 * MINUTE);
  expect(seen(history, [3.9, up], [4, up])).toEqual(['PortDown', 'Paired']);
  expect(history.nextSteady(4 * MINUTE)).toBe(Number.POSITIVE_INFINITY);
});

test('three falls in an hour are no flapping', () => {
  const history = new PortHistory();
  const reasons = seen(history, [0, up], [1, down], [2, up], [20, down], [21, up], [40, down], [41, up]);
  expect(reasons.at(-1)).toBe('Paired');
  expect(history.falls(up.id)).toBe(3);
});

test('what is worse than a port stays what it is', () => {
  const history = new PortHistory();
  const gone = { ...path(0, 'WaitingForDriver'), nic: { ...up.nic, rdmaDevice: undefined, portState: undefined } };
  const reasons = seen(
    history,
    [0, up],
    [1, down],
    [1.1, up],
    [1.2, down],
    [1.3, up],
    [1.4, down],
    [1.5, up],
    [1.6, gone],
  );
  expect(reasons.slice(-2)).toEqual(['PortDown', 'WaitingForDriver']);
  expect(history.falls(up.id)).toBe(3);
});

test('falls that an earlier agent reported are counted on, its own are not counted twice', () => {
  const history = new PortHistory();
  const reported = (portFalls: number) =>
    history.learn([{ id: up.id, portFalls } as Parameters<typeof history.learn>[0][number]]);
  seen(history, [0, up]);
  reported(5);
  seen(history, [1, down]);
  expect(history.falls(up.id)).toBe(6);
  reported(6);
  reported(6);
  seen(history, [2, up], [3, down]);
  expect(history.falls(up.id)).toBe(7);
});
