// What `kubectl events` shows of what was recorded, and what recording may cost.
import { expect, onTestFinished, test } from 'vitest';
import { EventRecorder, type Happening, type KubeEvent, events } from './event-recorder.ts';
import { connectTo, startServer } from './test-support.ts';
import { ManualClock, type VirtualServer, until } from './virtual/index.ts';

const path = { apiVersion: 'example.dev/v1', kind: 'Thing', metadata: { name: 'a', uid: 'u-1' } };
const lost: Happening = {
  type: 'Warning',
  reason: 'PathLost',
  action: 'Observe',
  note: 'mlx5_0 lost its DMA function',
};

interface Rig {
  server: VirtualServer;
  clock: ManualClock;
  recorder: EventRecorder;
  errors: unknown[];
  written: () => KubeEvent[];
}

async function rig(): Promise<Rig> {
  const server = await startServer();
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const recorder = new EventRecorder({
    api: connectTo(server),
    reportingController: 'example.dev/operator',
    reportingInstance: 'operator-0',
    onError: (error) => errors.push(error),
    clock,
  });
  onTestFinished(() => recorder.stop());
  return { server, clock, recorder, errors, written: () => server.store.list(events) };
}

test('an event says what happened to which object, who saw it and when', async () => {
  const { recorder, written } = await rig();
  recorder.record(path, lost);
  await until(() => written().length === 1);
  expect(written()[0]).toMatchObject({
    metadata: { namespace: 'default', name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) as string },
    ...lost,
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.dev/operator',
    reportingInstance: 'operator-0',
    regarding: { apiVersion: 'example.dev/v1', kind: 'Thing', name: 'a', uid: 'u-1' },
  });
  expect(written()[0]).not.toHaveProperty('series');
});

test('an event of a namespaced object is in its namespace', async () => {
  const { recorder, written } = await rig();
  recorder.record({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n' } }, lost);
  await until(() => written().length === 1);
  expect(written()[0]?.metadata.namespace).toBe('n');
});

test('what repeats is counted in one event; what differs in any word is an event of its own', async () => {
  const { recorder, written } = await rig();
  recorder.record(path, lost);
  await until(() => written().length === 1);
  for (let times = 0; times < 3; times++) recorder.record(path, lost);
  await until(() => written()[0]?.series?.count === 4);
  recorder.record(path, { ...lost, note: 'mlx5_1 lost its DMA function' });
  recorder.record(path, { ...lost, type: 'Normal' });
  recorder.record({ ...path, metadata: { ...path.metadata, uid: 'u-2' } }, lost);
  await until(() => written().length === 4);
  expect(written().map(({ series }) => series?.count)).toEqual(expect.arrayContaining([4, undefined]));
});

test('what happened many times before it could be written is one write with its count', async () => {
  const { server, recorder, written } = await rig();
  for (let times = 0; times < 100; times++) recorder.record(path, lost);
  await until(() => written().length === 1);
  expect(written()[0]?.series?.count).toBe(100);
  expect(server.requests).toHaveLength(1);
});

test('after six quiet minutes the same happening is news again', async () => {
  const { clock, recorder, written } = await rig();
  recorder.record(path, lost);
  await until(() => written().length === 1);
  await clock.advance(6 * 60_000);
  recorder.record(path, lost);
  await until(() => written().length === 2);
  expect(written().every(({ series }) => series === undefined)).toBe(true);
});

test('a series whose event the server has forgotten begins anew', async () => {
  const { server, recorder, written } = await rig();
  recorder.record(path, lost);
  await until(() => written().length === 1);
  const { name } = written()[0]?.metadata ?? { name: '' };
  server.store.delete(events, { namespace: 'default', name });
  recorder.record(path, lost);
  await until(() => written().length === 1);
  expect(written()[0]?.series?.count).toBe(2);
});

test('an object that floods us is held to its burst, and the others are not held up', async () => {
  const { clock, recorder, written } = await rig();
  for (let n = 0; n < 40; n++) recorder.record(path, { ...lost, note: `news ${n}` });
  recorder.record({ ...path, metadata: { name: 'b', uid: 'u-2' } }, lost);
  await until(() => written().length === 26);
  expect(recorder.dropped).toBe(15);
  await clock.advance(5 * 60_000);
  recorder.record(path, { ...lost, note: 'news 40' });
  await until(() => written().length === 27);
});

test('the queue is bounded: what does not fit is dropped and counted', async () => {
  const { server, clock, recorder } = await rig();
  server.fail('silence');
  for (let n = 0; n < 600; n++) recorder.record({ ...path, metadata: { name: `o${n}`, uid: `u-${n}` } }, lost);
  expect(recorder.dropped).toBe(600 - 512);
  const stopping = recorder.stop();
  await clock.skip();
  await stopping;
});

test('a server that is unwell gets the event later; what it refuses is given up', async () => {
  const { server, clock, recorder, errors, written } = await rig();
  server.fail({ status: 500 }, { times: 2 });
  recorder.record(path, lost);
  await clock.skip();
  await clock.skip();
  await until(() => written().length === 1);
  expect([errors.length, recorder.dropped]).toEqual([2, 0]);

  server.fail({ status: 403 });
  recorder.record(path, { ...lost, reason: 'Other' });
  await until(() => recorder.dropped === 1);
  expect(written()).toHaveLength(1);
});

test('an event whose answer was lost is not written twice', async () => {
  const { server, clock, recorder, written } = await rig();
  server.fail('lostAnswer');
  recorder.record(path, lost);
  await clock.skip();
  await until(() => server.requests.length === 2);
  await recorder.stop();
  expect(written()).toHaveLength(1);
});

test('a note too long for the server is cut between characters', async () => {
  const { recorder, written } = await rig();
  recorder.record(path, { ...lost, note: 'ä'.repeat(600) });
  await until(() => written().length === 1);
  const { note = '' } = written()[0] ?? {};
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
  expect(note).toMatch(/^ä+…$/);
});

test.each(['-', '.', 'n'])('an object with the longest of names, cut at %s, has events', async (cut) => {
  const { recorder, written } = await rig();
  const name = `${'n'.repeat(229)}${cut}${'n'.repeat(23)}`;
  recorder.record({ ...path, metadata: { name } }, lost);
  await until(() => written().length === 1);
  expect(written()[0]?.regarding.name).toBe(name);
});

test('stop writes what waits, but not for ever, and records nothing after it', async () => {
  const { server, clock, recorder, written } = await rig();
  recorder.record(path, lost);
  await recorder.stop();
  expect([written().length, clock.waiting]).toEqual([1, 0]);
  recorder.record(path, { ...lost, reason: 'Late' });
  expect(server.requests).toHaveLength(1);

  const hung = await rig();
  hung.server.fail('silence');
  hung.recorder.record(path, lost);
  const stopping = hung.recorder.stop();
  await until(() => hung.server.requests.length === 1);
  expect(await hung.clock.skip()).toBe(5_000);
  await stopping;
});
