// Who may read a page, as the API server says.
import { beforeEach, expect, test } from 'vitest';

import { accessReview, tokenReviews } from './access.ts';
import type { KubeApi } from './api.ts';
import { KubeError } from './error.ts';
import { ManualClock } from './virtual/index.ts';

const prometheus = { username: 'system:serviceaccount:monitoring:prometheus', groups: ['monitoring'] };
const users: Record<string, { username: string; groups: string[] }> = {
  prometheus,
  /** Whose it was is told of a token that is not valid any more, too. */
  expired: prometheus,
  guest: { username: 'guest', groups: [] },
};
let asked: { kind: string; spec: Record<string, unknown> }[];
let isDown: boolean;
let clock: ManualClock;
let mayRead: (token: string) => Promise<boolean>;

/** An API server that knows two users, of whom one may. */
const create = ((resource: { kind: string }, { spec }: { spec: Record<string, unknown> }) => {
  asked.push({ kind: resource.kind, spec });
  if (isDown) return Promise.reject(new KubeError('KUBE_UNREACHABLE', 'no route'));
  const user = users[String(spec['token'])];
  const status =
    resource.kind === tokenReviews.kind
      ? { authenticated: user !== undefined && spec['token'] !== 'expired', user }
      : { allowed: spec['user'] === prometheus.username };
  return Promise.resolve({ spec, status });
}) as unknown as KubeApi['create'];

beforeEach(() => {
  asked = [];
  isDown = false;
  clock = new ManualClock();
  mayRead = accessReview({ api: { create }, path: '/metrics', fieldManager: 'test', clock });
});

test.each([
  ['prometheus', true],
  ['guest', false],
  ['expired', false],
  ['nobody', false],
])('the token of %s: %s', async (token, expected) => {
  expect(await mayRead(token)).toBe(expected);
});

test('the right asked for is get on the page, by user and groups', async () => {
  await mayRead('prometheus');
  expect(asked.map(({ kind }) => kind)).toEqual(['TokenReview', 'SubjectAccessReview']);
  expect(asked[1]?.spec).toEqual({
    user: 'system:serviceaccount:monitoring:prometheus',
    groups: ['monitoring'],
    nonResourceAttributes: { path: '/metrics', verb: 'get' },
  });
});

test('an answer holds for a minute', async () => {
  await mayRead('prometheus');
  await mayRead('prometheus');
  expect(asked).toHaveLength(2);
  await clock.advance(61_000);
  await mayRead('prometheus');
  expect(asked).toHaveLength(4);
});

test('while the server cannot be asked nobody new is let in', async () => {
  await mayRead('prometheus');
  isDown = true;
  expect(await mayRead('prometheus')).toBe(true);
  await expect(mayRead('guest')).rejects.toThrow('no route');
});

test('many strangers do not fill the memory: the oldest answers are forgotten', async () => {
  await mayRead('prometheus');
  for (let index = 0; index < 64; index += 1) await mayRead(`stranger-${index}`);
  asked = [];
  await mayRead('prometheus');
  expect(asked).toHaveLength(2);
});
