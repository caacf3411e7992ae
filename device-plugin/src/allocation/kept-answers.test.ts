// Answers that are kept: only while nothing changed that they follow from.
import { expect, test } from 'vitest';

import type { ContainerAllocation } from '../kubelet/protocol.ts';
import type { Pool } from '../pool.ts';
import { assignment, path, tray } from '../test-support.ts';
import type { AllocationContext } from './allocate.ts';
import { KeptAnswers } from './kept-answers.ts';

const ids = tray().map(({ id }) => id);
const [first = ''] = ids;

function poolOf(paths = tray()): Pool {
  const [pool] = assignment({ paths }).pools;
  if (!pool) throw new Error('no pool');
  return pool;
}

const pool = poolOf();
const context: AllocationContext = {
  node: tray(),
  hostPath: (name) => `/dev/infiniband/${name}`,
  hasCdiDevice: () => false,
};

test('the same question about the same node is answered with the same object', () => {
  const answers = new KeptAnswers();
  expect(answers.answer(pool, [first], { ...context })).toBe(answers.answer(pool, [first], { ...context }));
  expect(answers.answer(pool, ids.slice(1), context)).not.toEqual(answers.answer(pool, [first], context));
});

test('a device that is unhealthy now is refused, whatever was answered for it', () => {
  const answers = new KeptAnswers();
  answers.answer(pool, [first], context);
  expect(() => answers.answer(poolOf(tray({ 0: 'PortDown' })), [first], context)).toThrow(first);
  expect(answers.answer(poolOf(), [first], context).devices).toHaveLength(1);
});

test.each<[string, Partial<AllocationContext>, object]>([
  [
    'device nodes that go by other names',
    { hostPath: (name) => `/links/${name}` },
    { devices: [{ hostPath: '/links/uverbs0' }] },
  ],
  ['a CDI file', { hasCdiDevice: () => true }, { cdiDevices: [`datadirect.dev/path=${first}`] }],
  ['the paths that are left on the node', { node: tray().slice(0, 1) }, { envs: { NCCL_IB_DATA_DIRECT: '1' } }],
])('an answer follows %s', (_what, change, expected) => {
  const answers = new KeptAnswers();
  const before = answers.answer(pool, [first], context);
  expect(answers.answer(pool, [first], { ...context, ...change })).toMatchObject(expected);
  expect(answers.answer(pool, [first], context)).toEqual(before);
});

test('an id that is made like a list of ids is no list of ids', () => {
  const answers = new KeptAnswers();
  answers.answer(pool, ids.slice(0, 2), context);
  for (const glue of [',', '","', '\n', '\0'])
    expect(() => answers.answer(pool, [ids.slice(0, 2).join(glue)], context)).toThrow('has no device');
});

test('of ever new sets of devices only so many are kept', () => {
  const answers = new KeptAnswers();
  const names = Array.from({ length: 257 }, (_, index) => `path-${index}`);
  const wide = poolOf(names.map((id) => ({ ...path(0), id })));
  const ask = (name = ''): ContainerAllocation => answers.answer(wide, [name], context);
  const kept = ask(names[0]);
  for (const name of names.slice(1, 256)) ask(name);
  expect(ask(names[0])).toBe(kept);
  ask(names[256]);
  expect(ask(names[0])).not.toBe(kept);
});
