// What a caller of the door sees: objects, pages, errors, time limits, credentials.
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { connect } from './connect.ts';
import { inCluster } from './connection.ts';
import { type KubeError, isKubeError } from './error.ts';
import { leases } from './lease.ts';
import { connectTo, startServer, thing, things } from './test-support.ts';
import { ManualClock, until } from './virtual/index.ts';

const writer = { fieldManager: 'tester' };

async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
  const failure: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (isKubeError(failure)) return failure;
  throw new Error('expected a KubeError', { cause: failure });
}

describe('objects', () => {
  test('an object is created, read, patched, applied and deleted', async () => {
    const api = connectTo(await startServer());
    const created = await api.create(things, thing('a'), writer);
    expect(created).toMatchObject({ apiVersion: 'example.dev/v1', kind: 'Thing', spec: { size: 1 } });
    expect(await api.get(things, { name: 'a' })).toEqual(created);
    expect((await api.patch(things, { name: 'a' }, { spec: { size: 2 } }, writer)).spec?.size).toBe(2);
    expect((await api.apply(things, thing('a', 3), { fieldManager: 'other', force: true })).spec?.size).toBe(3);
    await api.delete(things, { name: 'a' });
    expect(await failureOf(api.get(things, { name: 'a' }))).toMatchObject({ code: 'KUBE_NOT_FOUND', status: 404 });
  });

  test('namespaced objects are reached by their namespace', async () => {
    const api = connectTo(await startServer());
    const metadata = { namespace: 'one', name: 'lock' };
    await api.create(leases, { metadata }, writer);
    expect((await api.get(leases, metadata)).metadata).toMatchObject(metadata);
    expect((await api.list(leases, { namespace: 'two' })).items).toEqual([]);
    expect((await api.list(leases)).items).toHaveLength(1);
  });

  test('fields that our types do not know survive a patch and an apply', async () => {
    const server = await startServer();
    const api = connectTo(server);
    server.store.create(things, { ...thing('a'), spec: { size: 1, inventedLater: { deep: [1] } } });
    await api.patch(things, { name: 'a' }, { metadata: { labels: { l: 'v' } } }, writer);
    const found = await api.apply(things, thing('a', 5), { ...writer, force: true });
    expect(found.spec).toEqual({ size: 5, inventedLater: { deep: [1] } });
  });

  test('items of built-in lists carry their kind, though the server leaves it off', async () => {
    const api = connectTo(await startServer());
    await api.create(leases, { metadata: { namespace: 'n', name: 'lock' } }, writer);
    expect((await api.list(leases)).items[0]).toMatchObject({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' });
  });

  test('a long list comes in pages of 500 and has the version of its first page', async () => {
    const server = await startServer();
    for (let n = 0; n < 1001; n++) server.store.create(things, thing(`t${n}`));
    const { items, resourceVersion } = await connectTo(server).list(things);
    expect(new Set(items.map((item) => item.metadata.name)).size).toBe(1001);
    expect(resourceVersion).toBe(String(server.store.version));
    expect(server.requests.map(({ query }) => query['limit'])).toEqual(['500', '500', '500']);
  });

  test('a list can be narrowed by label and by field', async () => {
    const server = await startServer();
    const api = connectTo(server);
    for (const [name, colour] of [
      ['a', 'red'],
      ['b', 'blue'],
      ['c', 'green'],
    ] as const) {
      await api.create(things, { metadata: { name, labels: { colour } } }, writer);
    }
    const names = async (selection: object): Promise<string[]> =>
      (await api.list(things, selection)).items.map((item) => item.metadata.name);
    expect(await names({ labelSelector: 'colour in (red, blue),colour!=red' })).toEqual(['b']);
    expect(await names({ labelSelector: '!colour' })).toEqual([]);
    expect(await names({ fieldSelector: 'metadata.name=c' })).toEqual(['c']);
    expect((await failureOf(api.list(things, { fieldSelector: 'spec.size=1' }))).code).toBe('KUBE_REFUSED');
  });
});

describe('errors', () => {
  test.each([
    [401, 'KUBE_UNAUTHORIZED'],
    [403, 'KUBE_FORBIDDEN'],
    [404, 'KUBE_NOT_FOUND'],
    [409, 'KUBE_CONFLICT'],
    [410, 'KUBE_GONE'],
    [400, 'KUBE_REFUSED'],
    [422, 'KUBE_INVALID'],
    [429, 'KUBE_TOO_MANY_REQUESTS'],
    [500, 'KUBE_UNAVAILABLE'],
    [503, 'KUBE_UNAVAILABLE'],
  ] as const)('an answer %i is a %s that names what was asked', async (status, code) => {
    const server = await startServer();
    server.fail({ status, message: 'because' });
    expect(await failureOf(connectTo(server).get(things, { name: 'a' }))).toMatchObject({
      code,
      status,
      message: 'get things.example.dev a: because',
      asked: { verb: 'get', resource: 'things.example.dev', name: 'a' },
    });
  });

  test('creating what is there is KUBE_ALREADY_EXISTS, a stale precondition is KUBE_CONFLICT', async () => {
    const api = connectTo(await startServer());
    const { metadata } = await api.create(things, thing('a'), writer);
    expect((await failureOf(api.create(things, thing('a'), writer))).code).toBe('KUBE_ALREADY_EXISTS');
    await api.patch(things, { name: 'a' }, { spec: { size: 2 } }, writer);
    const { resourceVersion = '' } = metadata;
    const stale = api.patch(things, { name: 'a' }, { metadata: { resourceVersion }, spec: { size: 3 } }, writer);
    expect((await failureOf(stale)).code).toBe('KUBE_CONFLICT');
    const other = api.delete(things, { name: 'a' }, { preconditions: { uid: 'another' } });
    expect((await failureOf(other)).code).toBe('KUBE_CONFLICT');
  });

  test('an answer that is no JSON is KUBE_BAD_ANSWER and quotes it', async () => {
    const server = await startServer();
    server.fail('garbage', { times: 2 });
    const api = connectTo(server);
    const failure = await failureOf(api.get(things, { name: 'a' }));
    expect(failure).toMatchObject({ code: 'KUBE_BAD_ANSWER', message: expect.stringContaining('<html>') as string });
  });

  test('a reset connection and a server that is not there are KUBE_UNREACHABLE', async () => {
    const server = await startServer();
    server.fail('reset');
    expect((await failureOf(connectTo(server).get(things, { name: 'a' }))).code).toBe('KUBE_UNREACHABLE');
    const nowhere = connect({ server: 'http://127.0.0.1:1' }, { userAgent: 'test/1' });
    expect(await failureOf(nowhere.list(things))).toMatchObject({
      code: 'KUBE_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });
});

describe('time', () => {
  test('a server that says nothing is given up after the time-out', async () => {
    const server = await startServer();
    const clock = new ManualClock();
    server.fail('silence');
    const failing = failureOf(connectTo(server, clock).get(things, { name: 'a' }, { timeoutMs: 5_000 }));
    await until(() => server.requests.length === 1);
    await clock.advance(5_000);
    expect(await failing).toMatchObject({
      code: 'KUBE_TIMEOUT',
      message: 'get things.example.dev a: the server did not answer within 5 s',
    });
    expect(clock.waiting).toBe(0);
  });

  test('a call ends at once when its caller stops', async () => {
    const server = await startServer();
    server.fail('silence');
    const stopping = new AbortController();
    const failing = failureOf(connectTo(server).get(things, { name: 'a' }, { signal: stopping.signal }));
    await until(() => server.requests.length === 1);
    stopping.abort();
    expect((await failing).code).toBe('KUBE_STOPPED');
  });

  test.each([429, 503])('an answer %i with Retry-After is asked again when the server said', async (status) => {
    const server = await startServer();
    const clock = new ManualClock();
    const api = connectTo(server, clock);
    server.store.create(things, thing('a'));
    server.fail({ status, retryAfterSeconds: 3 });
    const call = api.get(things, { name: 'a' });
    await until(() => server.requests.length === 1 && clock.waiting === 2);
    expect(await clock.skip()).toBeGreaterThanOrEqual(3_000);
    expect((await call).metadata.name).toBe('a');
    expect(clock.waiting).toBe(0);
  });

  test('a Retry-After beyond the time-out is handed to the caller', async () => {
    const server = await startServer();
    server.fail({ status: 429, retryAfterSeconds: 60 });
    const failure = await failureOf(connectTo(server).get(things, { name: 'a' }, { timeoutMs: 30_000 }));
    expect(failure).toMatchObject({ code: 'KUBE_TOO_MANY_REQUESTS', retryAfterMs: 60_000 });
  });

  test.each([
    [0, 1_000],
    [100_000, 300_000],
  ])('a Retry-After of %i s is taken for %i ms: nothing spins, and nothing waits for ever', async (asked, taken) => {
    const server = await startServer();
    server.fail({ status: 429, retryAfterSeconds: asked });
    const failure = await failureOf(connectTo(server).get(things, { name: 'a' }, { timeoutMs: 500 }));
    expect(failure).toMatchObject({ retryAfterMs: taken });
  });

  test('an answer 500 without Retry-After is not asked again: the write may have been done', async () => {
    const server = await startServer();
    server.fail({ status: 500 });
    expect((await failureOf(connectTo(server).create(things, thing('a'), writer))).code).toBe('KUBE_UNAVAILABLE');
    expect(server.requests).toHaveLength(1);
  });
});

describe('watches', () => {
  test('a stream is closed when its reader leaves it, ends when the reader aborts, and throws nothing for either', async () => {
    const server = await startServer();
    const api = connectTo(server);
    const stopping = new AbortController();
    const options = { resourceVersion: '0', signal: stopping.signal };
    server.store.create(things, thing('a'));
    for await (const event of api.watch(things, options)) {
      expect(event).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } });
      break;
    }
    await until(() => server.openWatches() === 0);
    for await (const event of api.watch(things, options)) {
      expect(event.type).toBe('ADDED');
      stopping.abort();
    }
    await until(() => server.openWatches() === 0);
  });

  test('an event cut into many pieces by the network arrives whole', async () => {
    const server = await startServer();
    const size = 300_000;
    server.store.create(things, { metadata: { name: 'large' }, spec: { words: ['ü'.repeat(size)] } });
    for await (const event of connectTo(server).watch(things, {
      resourceVersion: '0',
      signal: new AbortController().signal,
    })) {
      expect(event).toMatchObject({ object: { spec: { words: ['ü'.repeat(size)] } } });
      break;
    }
  });
});

describe('credentials', () => {
  test('a token that rotates is read again after a minute, and at once after it was refused', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'kube-token-'));
    const tokenFile = join(directory.path, 'token');
    await writeFile(tokenFile, 'first\n');
    const clock = new ManualClock();
    const server = await startServer({ token: 'first' });
    const { token: _, ...connection } = server.connection;
    const api = connect({ ...connection, tokenFile }, { userAgent: 'test/1', clock });
    const tokens = (): (string | undefined)[] => server.requests.map((request) => request.token);

    await api.list(things);
    await writeFile(tokenFile, 'second\n');
    await api.list(things);
    await clock.advance(60_000);
    server.token = 'second';
    await api.list(things);
    expect(tokens()).toEqual(['first', 'first', 'second']);

    await writeFile(tokenFile, 'third\n');
    server.token = 'third';
    expect((await failureOf(api.list(things))).code).toBe('KUBE_UNAUTHORIZED');
    await api.list(things);
    expect(tokens().slice(3)).toEqual(['second', 'third']);
    api.close();
  });

  test('a token file that is missing is named in the error, and found when it comes', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'kube-token-'));
    const tokenFile = join(directory.path, 'token');
    const server = await startServer();
    const api = connect({ ...server.connection, tokenFile }, { userAgent: 'test/1' });
    expect(await failureOf(api.list(things))).toMatchObject({
      code: 'KUBE_NOT_CONFIGURED',
      message: expect.stringContaining(tokenFile) as string,
    });
    await writeFile(tokenFile, 'token');
    expect((await api.list(things)).items).toEqual([]);
    api.close();
  });

  test('over TLS the server must be certified by the CA of the connection', async () => {
    const [cert, key] = await Promise.all(
      ['loopback.crt', 'loopback.key'].map((name) => readFile(new URL(`fixtures/${name}`, import.meta.url), 'utf8')),
    );
    const server = await startServer({ tls: { cert: cert ?? '', key: key ?? '' } });
    expect((await connectTo(server).list(things)).items).toEqual([]);
    const { ca: _, ...withoutCa } = server.connection;
    const failure = await failureOf(connect(withoutCa, { userAgent: 'test/1' }).list(things));
    expect(failure).toMatchObject({
      code: 'KUBE_UNREACHABLE',
      message: expect.stringContaining('certificate') as string,
    });
  });

  test('in a pod the service account is used, IPv6 included; elsewhere the error says what is missing', () => {
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect(inCluster(environment)).toMatchObject({
      server: 'https://[fd00::1]:443',
      tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    });
    expect(() => inCluster({})).toThrow(/KUBERNETES_SERVICE_HOST/);
  });
});
