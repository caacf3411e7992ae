// What a reflector's user sees while the server and the network misbehave: the fourteen ways in which informers are known to fail.
import { describe, expect, onTestFinished, test } from 'vitest';
import type { KubeError } from './error.ts';
import { type Change, Reflector, type ReflectorOptions } from './reflector.ts';
import { type Thing, connectTo, startServer, thing, things } from './test-support.ts';
import { ManualClock, type Received, type VirtualServer, until } from './virtual/index.ts';

interface Rig {
  server: VirtualServer;
  /** Of the back-off only; requests and their time-outs go by real time, so that `clock.skip()` always means the back-off. */
  clock: ManualClock;
  reflector: Reflector<Thing>;
  /** `added a`, `updated a`, … */
  changes: string[];
  errors: unknown[];
}

async function rig(options: Partial<ReflectorOptions<Thing>> & { server?: VirtualServer } = {}): Promise<Rig> {
  const server = options.server ?? (await startServer());
  const clock = new ManualClock();
  const changes: string[] = [];
  const errors: unknown[] = [];
  const reflector = new Reflector({
    api: connectTo(server),
    resource: things,
    onChange: ({ type, key }) => changes.push(`${type} ${key}`),
    onError: (error) => errors.push(error),
    clock,
    ...options,
  });
  onTestFinished(() => reflector.stop());
  return { server, clock, reflector, changes, errors };
}

/** A reflector that has synced with one thing, `a`, and watches. */
async function watching(options: Partial<ReflectorOptions<Thing>> & { server?: VirtualServer } = {}): Promise<Rig> {
  const made = await rig(options);
  made.server.store.create(things, thing('a'));
  made.reflector.start();
  await made.reflector.synced;
  await until(() => made.server.openWatches() === 1);
  return made;
}

function asked({ requests }: VirtualServer, verb: Received['verb']): Received[] {
  return requests.filter((request) => request.verb === verb);
}

function codesOf(errors: unknown[]): string[] {
  return errors.map((error) => (error as KubeError).code);
}

/** Something new happens on the server and is seen: whatever was wrong is over. */
async function expectFollows({ server, reflector }: Rig): Promise<void> {
  server.store.create(things, thing('proof'));
  await until(() => reflector.get('proof') !== undefined);
}

test('objects of the list and of the watch are in the cache, and each change is told once', async () => {
  const { server, reflector, changes } = await watching();
  server.store.create(things, thing('b'));
  server.store.patch(things, { name: 'b' }, { spec: { size: 2 } });
  server.store.delete(things, { name: 'a' });
  await until(() => changes.length === 4);
  expect(changes).toEqual(['added a', 'added b', 'updated b', 'deleted a']);
  expect([...reflector.values()].map(({ spec }) => spec)).toEqual([{ size: 2 }]);
  expect(reflector.health()).toMatchObject({ synced: true, objects: 1, lists: 1, watches: 1, failures: 0 });
});

test('a selector follows objects in and out of the selection', async () => {
  const { server, changes } = await watching({ selection: { labelSelector: 'mine=yes' } });
  server.store.patch(things, { name: 'a' }, { metadata: { labels: { mine: 'yes' } } });
  server.store.patch(things, { name: 'a' }, { metadata: { labels: { mine: 'no' } } });
  await until(() => changes.length === 2);
  expect(changes).toEqual(['added a', 'deleted a']);
});

test('what the user trims, and managedFields, are not kept', async () => {
  const { reflector } = await watching({ trim: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata }) });
  expect(reflector.get('a')).toMatchObject({ metadata: { name: 'a' } });
  expect(reflector.get('a')).not.toHaveProperty('spec');
  expect(reflector.get('a')?.metadata).not.toHaveProperty('managedFields');
});

test('an update tells what was there before', async () => {
  const seen: Change<Thing>[] = [];
  const { server } = await watching({ onChange: (change) => seen.push(change) });
  server.store.patch(things, { name: 'a' }, { spec: { size: 2 } });
  await until(() => seen.length === 2);
  expect(seen[1]).toMatchObject({ type: 'updated', previous: { spec: { size: 1 } }, object: { spec: { size: 2 } } });
});

describe('faults', () => {
  test('1. lists ask for pages, watches for bookmarks and an end of their own between 300 and 600 s', async () => {
    const { server } = await watching();
    expect(asked(server, 'list')[0]?.query).toMatchObject({ limit: '500' });
    const query = asked(server, 'watch')[0]?.query;
    expect(query).toMatchObject({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: '101' });
    expect(Number(query?.['timeoutSeconds'])).toBeGreaterThanOrEqual(300);
    expect(Number(query?.['timeoutSeconds'])).toBeLessThanOrEqual(600);
  });

  test('2. a clean end by the server is followed by a new watch from the last version, slower each time it ends at once', async () => {
    const made = await watching();
    const { server, clock, errors } = made;
    const waits: number[] = [];
    for (let times = 1; times <= 6; times++) {
      server.store.patch(things, { name: 'a' }, { spec: { size: 10 + times } });
      await until(() => made.reflector.get('a')?.spec?.size === 10 + times);
      server.disturbWatches('end');
      waits.push(await clock.skip());
      await until(() => server.openWatches() === 1);
    }
    for (const [n, wait] of waits.entries()) {
      const whole = Math.min(30_000, 1_000 * 2 ** n);
      expect(wait).toBeGreaterThanOrEqual(whole / 2);
      expect(wait).toBeLessThanOrEqual(whole);
    }
    expect(asked(server, 'list')).toHaveLength(1);
    expect(asked(server, 'watch').map(({ query }) => Number(query['resourceVersion']))).toEqual([
      101, 102, 103, 104, 105, 106, 107,
    ]);
    expect(errors).toEqual([]);
    await expectFollows(made);
  });

  test('2b. a watch that lived its time comes back within a second', async () => {
    const { server, clock } = await watching();
    for (let times = 1; times <= 3; times++) {
      await clock.advance(400_000);
      server.disturbWatches('end');
      expect(await clock.skip()).toBeLessThanOrEqual(1_000);
      await until(() => server.openWatches() === 1);
    }
  });

  test('2c. a bookmark moves the version from which a watch resumes', async () => {
    const { server, clock, reflector } = await watching();
    const { lastHeardAt = 0 } = reflector.health();
    server.store.create(
      { ...things, plural: 'leases', apiVersion: 'coordination.k8s.io/v1', namespaced: true },
      {
        metadata: { namespace: 'n', name: 'elsewhere' },
      },
    );
    await clock.advance(60_000);
    server.bookmark();
    await until(() => (reflector.health().lastHeardAt ?? 0) > lastHeardAt);
    server.disturbWatches('end');
    await clock.skip();
    await until(() => server.openWatches() === 1);
    expect(asked(server, 'watch')[1]?.query['resourceVersion']).toBe('102');
  });

  test('3a. 410 in the stream: listed anew after a back-off', async () => {
    const made = await watching();
    const { server, clock, errors } = made;
    server.disturbWatches('reset');
    await until(() => errors.length === 1);
    server.store.create(things, thing('b'));
    server.store.compact();
    await clock.skip();
    await until(() => errors.length === 2);
    expect(codesOf(errors)).toEqual(['KUBE_UNREACHABLE', 'KUBE_GONE']);
    expect(await clock.skip()).toBeGreaterThanOrEqual(500);
    await expectFollows(made);
    expect(asked(server, 'list')).toHaveLength(2);
    expect(made.changes).toEqual(['added a', 'added b', 'added proof']);
  });

  test('3b. HTTP 410: listed anew after a back-off', async () => {
    const made = await watching();
    made.server.fail({ status: 410 }, { verb: 'watch' });
    made.server.disturbWatches('end');
    await made.clock.skip();
    await until(() => made.errors.length === 1);
    expect(codesOf(made.errors)).toEqual(['KUBE_GONE']);
    await made.clock.skip();
    await expectFollows(made);
    expect(asked(made.server, 'list')).toHaveLength(2);
  });

  test('4. HTTP 500 on the watch: tried again from the last version, and after three failures listed anew', async () => {
    const made = await watching();
    const { server, clock, errors } = made;
    server.fail({ status: 500 }, { verb: 'watch', times: 3 });
    server.disturbWatches('end');
    for (let failures = 1; failures <= 3; failures++) {
      await clock.skip();
      await until(() => errors.length === failures);
      expect(made.reflector.health()).toMatchObject({ failures, lastError: { code: 'KUBE_UNAVAILABLE' } });
    }
    expect(asked(server, 'list')).toHaveLength(1);
    await clock.skip();
    await expectFollows(made);
    expect(asked(server, 'list')).toHaveLength(2);
    expect(made.reflector.health().failures).toBe(0);
  });

  test.each([429, 500, 503, 403])('5a. HTTP %i on the list: tried again until it is answered', async (status) => {
    const made = await rig();
    made.server.fail({ status }, { verb: 'list', times: 3 });
    made.reflector.start();
    const waits: number[] = [];
    for (let times = 1; times <= 3; times++) waits.push(await made.clock.skip());
    await made.reflector.synced;
    expect(made.errors).toHaveLength(3);
    expect(waits[2]).toBeGreaterThan(waits[0] ?? 0);
    await expectFollows(made);
  });

  test('5b. Retry-After beyond the time-out of a call: the reflector waits as long as it was told', async () => {
    const made = await rig();
    made.server.fail({ status: 429, retryAfterSeconds: 60 }, { verb: 'list' });
    made.reflector.start();
    expect(await made.clock.skip()).toBeGreaterThanOrEqual(60_000);
    await made.reflector.synced;
  });

  test('6. a connection reset in mid-stream: resumed from the last version, nothing is lost', async () => {
    const made = await watching();
    made.server.disturbWatches('reset');
    await until(() => made.errors.length === 1);
    made.server.store.create(things, thing('meanwhile'));
    await made.clock.skip();
    await expectFollows(made);
    expect(codesOf(made.errors)).toEqual(['KUBE_UNREACHABLE']);
    expect(asked(made.server, 'list')).toHaveLength(1);
    expect(made.changes).toEqual(['added a', 'added meanwhile', 'added proof']);
  });

  test('7. an ERROR event in the stream: reported, and tried again', async () => {
    const made = await watching();
    made.server.disturbWatches({ status: 500, message: 'etcd is unwell' });
    await until(() => made.errors.length === 1);
    expect(made.errors[0]).toMatchObject({
      code: 'KUBE_UNAVAILABLE',
      message: 'watch things.example.dev: etcd is unwell',
    });
    await made.clock.skip();
    await expectFollows(made);
  });

  test('7b. garbage in the stream: reported, and tried again', async () => {
    const made = await watching();
    made.server.fail('garbage', { verb: 'watch' });
    made.server.disturbWatches('end');
    await made.clock.skip();
    await until(() => made.errors.length === 1);
    expect(codesOf(made.errors)).toEqual(['KUBE_BAD_ANSWER']);
    await made.clock.skip();
    await expectFollows(made);
  });

  test.each(['list', 'watch'] as const)(
    '8. stopped while its %s is unanswered: nothing is left open, nothing is told',
    async (verb) => {
      const { server, reflector, changes, errors, clock } = await rig();
      server.fail('silence', { verb });
      reflector.start();
      await until(() => asked(server, verb).length === 1);
      await reflector.stop();
      await until(() => server.openWatches() === 0);
      server.store.create(things, thing('late'));
      expect({ changes, errors, waiting: clock.waiting }).toEqual({ changes: [], errors: [], waiting: 0 });
    },
  );

  test('8b. stopped before its first list: whoever waits for it is told so', async () => {
    const { server, reflector } = await rig();
    server.fail('silence', { verb: 'list' });
    reflector.start();
    await reflector.stop();
    await expect(reflector.synced).rejects.toMatchObject({ code: 'KUBE_STOPPED' });
  });

  test('9. stopped during the back-off: no watch is opened after it', async () => {
    const { server, reflector, clock } = await watching();
    server.disturbWatches('end');
    await until(() => clock.waiting === 1);
    await reflector.stop();
    await clock.advance(60_000);
    expect(clock.waiting).toBe(0);
    expect(asked(server, 'watch')).toHaveLength(1);
  });

  test('10. started twice: one list, one watch', async () => {
    const made = await rig();
    made.reflector.start();
    made.reflector.start();
    await made.reflector.synced;
    made.reflector.start();
    await until(() => made.server.openWatches() > 0);
    await expectFollows(made);
    await made.reflector.stop();
    await until(() => made.server.openWatches() === 0);
    expect([asked(made.server, 'list').length, asked(made.server, 'watch').length]).toEqual([1, 1]);
  });

  test('11. a handler that throws is reported, and the cache goes on', async () => {
    const made = await watching({
      onChange: ({ key }) => {
        throw new Error(`no liking for ${key}`);
      },
    });
    await expectFollows(made);
    expect(made.errors).toEqual([new Error('no liking for a'), new Error('no liking for proof')]);
  });

  test('12. deleted and created again while nobody watched: both are told', async () => {
    const made = await watching();
    const { server, clock, changes, errors } = made;
    server.disturbWatches('reset');
    await until(() => errors.length === 1);
    server.store.delete(things, { name: 'a' });
    server.store.create(things, thing('a', 7));
    server.store.compact();
    await clock.skip();
    await until(() => errors.length === 2);
    await clock.skip();
    await until(() => changes.length === 3);
    expect(changes).toEqual(['added a', 'deleted a', 'added a']);
    expect(made.reflector.get('a')?.spec?.size).toBe(7);
  });

  test('12b. deleted while nobody watched: told by the relist', async () => {
    const made = await watching();
    made.server.store.create(things, thing('stays'));
    await until(() => made.changes.length === 2);
    made.server.fail({ status: 410 }, { verb: 'watch' });
    made.server.disturbWatches('end');
    made.server.store.delete(things, { name: 'a' });
    await made.clock.skip();
    await made.clock.skip();
    await until(() => made.changes.length === 3);
    expect(made.changes[2]).toBe('deleted a');
    expect([...made.reflector.values()].map(({ metadata }) => metadata.name)).toEqual(['stays']);
  });

  test('13. a stopped reflector stays stopped, however often it is told to start or stop', async () => {
    const made = await watching();
    await Promise.all([made.reflector.stop(), made.reflector.stop()]);
    made.reflector.start();
    await until(() => made.server.openWatches() === 0);
    made.server.store.create(things, thing('late'));
    await made.reflector.stop();
    expect([made.changes, made.errors]).toEqual([['added a'], []]);

    const next = await rig({ server: made.server });
    next.reflector.start();
    await next.reflector.synced;
    expect(next.changes).toEqual(['added a', 'added late']);
    expect(asked(made.server, 'list')).toHaveLength(2);
  });

  test('14. a connection that falls silent is given up after two minutes without an event or a bookmark', async () => {
    const server = await startServer();
    const wire = new ManualClock();
    const made = await watching({ server, api: connectTo(server, wire) });
    await wire.advance(100_000);
    server.bookmark();
    const { lists } = made.reflector.health();
    server.store.create(things, thing('b'));
    await until(() => made.reflector.get('b') !== undefined);
    server.disturbWatches('silence');
    server.store.create(things, thing('unheard'));
    await wire.advance(119_999);
    expect(made.errors).toEqual([]);
    await wire.advance(1);
    await until(() => made.errors.length === 1);
    expect(codesOf(made.errors)).toEqual(['KUBE_TIMEOUT']);
    await made.clock.skip();
    await expectFollows(made);
    expect(made.reflector.get('unheard')).toBeDefined();
    expect(made.reflector.health().lists).toBe(lists);
    await made.reflector.stop();
    expect(wire.waiting).toBe(0);
  });
});
