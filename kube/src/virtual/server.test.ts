// What tests may rely on of the virtual server beyond the contract with the real one.
import { expect, test } from 'vitest';
import { connectTo, startServer, thing, things } from '../test-support.ts';
import { ManualClock, until } from './index.ts';

async function seen(events: AsyncIterable<{ type: string }>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

test('a watch gets a bookmark every minute and ends after the seconds it asked for', async () => {
  const clock = new ManualClock();
  const server = await startServer({ clock });
  const options = { resourceVersion: '100', timeoutSeconds: 150, signal: new AbortController().signal };
  const types = seen(connectTo(server).watch(things, options));
  await until(() => server.openWatches() === 1);
  await clock.advance(150_000);
  expect(await types).toEqual(['BOOKMARK', 'BOOKMARK']);
  await until(() => server.openWatches() === 0);
  expect(clock.waiting).toBe(0);
});

test('a fault is met by as many matching requests as it was made for, and others pass', async () => {
  const server = await startServer();
  const api = connectTo(server);
  server.fail({ status: 500 }, { verb: 'list', plural: 'things', times: 2 });
  await api.create(things, thing('a'), { fieldManager: 'me' });
  await expect(api.list(things)).rejects.toThrow('made to fail with 500');
  await expect(api.list(things)).rejects.toThrow('made to fail with 500');
  expect((await api.list(things)).items).toHaveLength(1);
  server.fail('reset', { times: 5 });
  server.heal();
  expect((await api.list(things)).items).toHaveLength(1);
});

test('a lost answer is one whose request was carried out', async () => {
  const server = await startServer();
  server.fail('lostAnswer');
  await expect(connectTo(server).create(things, thing('a'), { fieldManager: 'me' })).rejects.toThrow(
    'cannot be reached',
  );
  expect(server.store.get(things, { name: 'a' })).toMatchObject({ spec: { size: 1 } });
});

test('managedFields say who owns what', async () => {
  const server = await startServer();
  const parts = [{ name: 'p', weight: 1 }];
  await connectTo(server).apply(things, { metadata: { name: 'a' }, spec: { size: 1, parts } }, { fieldManager: 'me' });
  expect(server.store.get(things, { name: 'a' }).metadata.managedFields).toMatchObject([
    {
      manager: 'me',
      operation: 'Apply',
      fieldsV1: { 'f:spec': { 'f:size': {}, 'f:parts': { 'k:{"name":"p"}': { 'f:name': {}, 'f:weight': {} } } } },
    },
  ]);
});

test.each([
  ['PUT', '/apis/example.dev/v1/things/a', 'application/json', '{}', 405],
  ['PATCH', '/apis/example.dev/v1/things/a', 'application/json-patch+json', '[]', 415],
  ['PATCH', '/apis/example.dev/v1/things/a', 'application/apply-patch+yaml', '{}', 422],
  ['PATCH', '/apis/example.dev/v1/things/a?fieldManager=me', 'application/apply-patch+yaml', '{}', 400],
  ['POST', '/apis/example.dev/v1/things', 'application/json', '{', 400],
  ['GET', '/apis/example.dev/v1/things?labelSelector=a%20in%20b', 'application/json', undefined, 400],
  ['GET', '/apis/example.dev/v2/things', 'application/json', undefined, 404],
] as const)('%s %s of %s is refused', async (method, path, type, body, status) => {
  const { connection } = await startServer();
  const answer = await fetch(connection.server + path, {
    method,
    headers: { 'content-type': type },
    ...(body !== undefined && { body }),
  });
  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ kind: 'Status', status: 'Failure', code: status });
});
