// What is remembered of answers to the kubelet, across restarts of the agent and full disks.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { Allocations } from './allocations.ts';

let file: string;
let allocations: Allocations;

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'allocations-'));
  file = join(directory, 'state/allocations.json');
  allocations = new Allocations(file);
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

const on = { NCCL_IB_DATA_DIRECT: '1' };
const off = { NCCL_IB_DATA_DIRECT: '0' };

function restarted(): Allocations {
  const next = new Allocations(file);
  next.load();
  return next;
}

test('a container is known by its devices, in whatever order the kubelet names them', () => {
  allocations.remember({ resource: 'path', ids: ['a', 'b'], env: on });
  expect(allocations.given('path', ['b', 'a'])).toEqual(on);
  expect([allocations.given('path', ['a']), allocations.given('other', ['a', 'b'])]).toEqual([undefined, undefined]);
});

test('a device that is given anew ends what was remembered of it', () => {
  allocations.remember({ resource: 'path', ids: ['a', 'b'], env: on });
  allocations.remember({ resource: 'path', ids: ['b'], env: off });
  expect(allocations.given('path', ['a', 'b'])).toBeUndefined();
  expect(allocations.given('path', ['b'])).toEqual(off);
});

test('the next agent knows what this one answered', async () => {
  allocations.remember({ resource: 'path', ids: ['a'], env: on });
  await allocations.save();
  expect(restarted().given('path', ['a'])).toEqual(on);
});

test('an answer that is given again, as in a burst, does not write the record again', async () => {
  const answer = { resource: 'path', ids: ['a', 'b'], env: on };
  allocations.remember(answer);
  await allocations.save();
  rmSync(file);
  allocations.remember({ ...answer, ids: ['b', 'a'] });
  await allocations.save();
  expect([existsSync(file), allocations.given('path', ['a', 'b'])]).toEqual([false, on]);
  allocations.remember({ ...answer, ids: ['a'] });
  await allocations.save();
  expect(restarted().given('path', ['a'])).toEqual(on);
});

test('a node without a record begins with none', () => {
  expect(restarted().given('path', ['a'])).toBeUndefined();
});

test('a node that is withdrawn keeps no record', async () => {
  allocations.remember({ resource: 'path', ids: ['a'], env: on });
  await allocations.save();
  allocations.clear();
  await allocations.save();
  expect([allocations.given('path', ['a']), restarted().given('path', ['a']), existsSync(file)]).toEqual([
    undefined,
    undefined,
    false,
  ]);
});

test.each([
  ['cut off', (text: string) => text.slice(0, 30), 'it is no JSON'],
  ['changed', (text: string) => text.replace('"a"', '"b"'), 'its checksum does not fit its content'],
])('a record that is %s is refused with its name, and can be used all the same', async (_how, damage, sentence) => {
  allocations.remember({ resource: 'path', ids: ['a'], env: on });
  await allocations.save();
  writeFileSync(file, damage(readFileSync(file, 'utf8')));
  const next = new Allocations(file);
  expect(() => next.load()).toThrow(`record of allocations ${file} is not used: ${sentence}`);
  next.remember({ resource: 'path', ids: ['a'], env: off });
  await next.save();
  expect(restarted().given('path', ['a'])).toEqual(off);
});

test('on a full disk it is known from memory, and written once there is room', async () => {
  mkdirSync(join(file, '..'), { recursive: true });
  symlinkSync('/dev/full', `${file}.new`);
  allocations.remember({ resource: 'path', ids: ['a'], env: on });
  await expect(allocations.save()).rejects.toThrow('ENOSPC');
  expect(allocations.given('path', ['a'])).toEqual(on);
  rmSync(`${file}.new`);
  await allocations.save();
  expect(restarted().given('path', ['a'])).toEqual(on);
});
