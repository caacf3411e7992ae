// What this room relies on an API server for, as claims that can be put to any server: the virtual one (contract.test.ts)
// and a real one (e2e). Where both hold, the virtual one may stand in for the real one. Reflector and co. are put to it, too.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { KubeApi, WatchEvent } from '../api.ts';
import { type KubeErrorCode, isKubeError } from '../error.ts';
import { EventRecorder, type KubeEvent, events } from '../event-recorder.ts';
import { LeaderElector } from '../leader-elector.ts';
import { LeaseHeartbeat, leases } from '../lease.ts';
import type { KubeObject, Resource } from '../object.ts';
import { Reflector } from '../reflector.ts';
import { until } from './manual-clock.ts';
import type { ServedResource } from './store.ts';

interface Part {
  name: string;
  weight?: number;
  colour?: string;
}

interface Sample extends KubeObject {
  spec?: { size?: number; colour?: string; parts?: Part[]; words?: string[] };
  status?: { ready?: boolean };
}

const samples: Resource<Sample> = {
  apiVersion: 'contract.datadirect.dev/v1',
  kind: 'Sample',
  plural: 'samples',
  namespaced: false,
};

/** How the virtual server serves the contract's resource. */
export const contractResource: ServedResource = {
  ...samples,
  status: true,
  listMapKeys: { 'spec.parts': ['name'] },
};

const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** The same for a real server: to be created, and Established, before the claims are put. */
export const contractCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'samples.contract.datadirect.dev' },
  spec: {
    group: 'contract.datadirect.dev',
    scope: 'Cluster',
    names: { plural: 'samples', singular: 'sample', kind: 'Sample', listKind: 'SampleList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              status: anything,
              spec: {
                ...anything,
                properties: {
                  parts: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: { ...anything, required: ['name'], properties: { name: { type: 'string' } } },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

export interface Claim {
  claim: string;
  /** Rejects if the claim does not hold. Leaves objects behind only when it fails. */
  holds: (api: KubeApi) => Promise<void>;
}

const me = { fieldManager: 'me' };
const you = { fieldManager: 'you' };

async function failsWith(code: KubeErrorCode, call: Promise<unknown>): Promise<string> {
  const failure: unknown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert(isKubeError(failure), `expected ${code}, got ${String(failure)}`);
  assert.equal(failure.code, code, failure.message);
  return failure.message;
}

/** Runs `act` with the name of a sample of its own, which is gone after it. */
function withSample(act: (api: KubeApi, name: string) => Promise<void>): (api: KubeApi) => Promise<void> {
  return async (api) => {
    const name = `c-${randomBytes(4).toString('hex')}`;
    await act(api, name);
    await api.delete(samples, { name }).catch((error: unknown) => {
      if (!isKubeError(error, 'KUBE_NOT_FOUND')) throw error;
    });
  };
}

/** The events of a watch from `version`, until `enough` have come. */
async function watched(api: KubeApi, selection: object, version: string, enough: number): Promise<string[]> {
  const stopping = new AbortController();
  const seen: string[] = [];
  const cancel = setTimeout(() => stopping.abort(), 10_000);
  const options = { ...selection, resourceVersion: version, signal: stopping.signal };
  for await (const event of api.watch(samples, options)) {
    if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${describe(event)}`);
    if (seen.length === enough) break;
  }
  clearTimeout(cancel);
  return seen;
}

function describe({ object }: WatchEvent<Sample>): string {
  return 'spec' in object ? String(object.spec?.size) : '';
}

export const contract: readonly Claim[] = [
  {
    claim: 'a created object has uid, version, generation 1, and no status, whatever its creator said',
    holds: withSample(async (api, name) => {
      const made = await api.create(samples, { metadata: { name }, spec: { size: 1 }, status: { ready: true } }, me);
      assert(made.metadata.uid && made.metadata.resourceVersion && made.metadata.creationTimestamp);
      assert.equal(made.metadata.generation, 1);
      assert.equal(made.status, undefined);
      assert.deepEqual(await api.get(samples, { name }), made);
    }),
  },
  {
    claim: 'generation counts changes of spec, not of labels or status; what changes nothing makes no version',
    holds: withSample(async (api, name) => {
      await api.create(samples, { metadata: { name }, spec: { size: 1 } }, me);
      const labelled = await api.patch(samples, { name }, { metadata: { labels: { a: 'b' } } }, me);
      const status = { ...me, subresource: 'status' } as const;
      const reported = await api.patch(samples, { name }, { status: { ready: true } }, status);
      assert.deepEqual([labelled.metadata.generation, reported.metadata.generation], [1, 1]);
      assert.notEqual(reported.metadata.resourceVersion, labelled.metadata.resourceVersion);
      const resized = await api.patch(samples, { name }, { spec: { size: 2 } }, me);
      assert.equal(resized.metadata.generation, 2);
      const again = await api.patch(samples, { name }, { spec: { size: 2 } }, me);
      assert.equal(again.metadata.resourceVersion, resized.metadata.resourceVersion);
    }),
  },
  {
    claim: 'status is written by its subresource and only there, spec only without it',
    holds: withSample(async (api, name) => {
      await api.create(samples, { metadata: { name }, spec: { size: 1 } }, me);
      const main = await api.patch(samples, { name }, { status: { ready: true } }, me);
      assert.equal(main.status, undefined);
      const both = { spec: { size: 9 }, status: { ready: true } };
      const sub = await api.patch(samples, { name }, both, { ...me, subresource: 'status' });
      assert.deepEqual([sub.spec?.size, sub.status], [1, { ready: true }]);
    }),
  },
  {
    claim: 'null in a merge patch takes a field away',
    holds: withSample(async (api, name) => {
      await api.create(
        samples,
        { metadata: { name, labels: { a: '1', b: '2' } }, spec: { size: 1, colour: 'red' } },
        me,
      );
      const patch = { metadata: { labels: { a: null } }, spec: { colour: null } };
      const { metadata, spec } = await api.patch(samples, { name }, patch, me);
      assert.deepEqual([metadata.labels, spec], [{ b: '2' }, { size: 1 }]);
    }),
  },
  {
    claim: 'apply creates, and applying the same again makes no version',
    holds: withSample(async (api, name) => {
      const intent = { metadata: { name }, spec: { size: 1, parts: [{ name: 'a', weight: 1 }] } };
      const first = await api.apply(samples, intent, me);
      const second = await api.apply(samples, intent, me);
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.equal(first.metadata.generation, 1);
    }),
  },
  {
    claim: "apply refuses another manager's field and names both, unless by force",
    holds: withSample(async (api, name) => {
      await api.apply(samples, { metadata: { name }, spec: { size: 1 } }, me);
      const mine = { metadata: { name }, spec: { size: 2 } };
      const message = await failsWith('KUBE_CONFLICT', api.apply(samples, mine, you));
      assert.match(message, /"me".*\.spec\.size/s);
      assert.equal((await api.apply(samples, mine, { ...you, force: true })).spec?.size, 2);
      await failsWith('KUBE_CONFLICT', api.apply(samples, { metadata: { name }, spec: { size: 1 } }, me));
    }),
  },
  {
    claim: 'two managers that say the same own the field together',
    holds: withSample(async (api, name) => {
      await api.apply(samples, { metadata: { name }, spec: { size: 1, colour: 'red' } }, me);
      await api.apply(samples, { metadata: { name }, spec: { size: 1 } }, you);
      const { spec } = await api.apply(samples, { metadata: { name }, spec: {} }, me);
      assert.deepEqual(spec, { size: 1 });
    }),
  },
  {
    claim: 'what its manager no longer applies goes, and what others wrote stays',
    holds: withSample(async (api, name) => {
      await api.apply(samples, { metadata: { name, labels: { a: '1', b: '2' } }, spec: { size: 1, words: ['x'] } }, me);
      await api.patch(samples, { name }, { metadata: { labels: { c: '3' } }, spec: { colour: 'red' } }, you);
      const { metadata, spec } = await api.apply(
        samples,
        { metadata: { name, labels: { b: '2' } }, spec: { size: 1 } },
        me,
      );
      assert.deepEqual(
        [metadata.labels, spec],
        [
          { b: '2', c: '3' },
          { size: 1, colour: 'red' },
        ],
      );
    }),
  },
  {
    claim: 'an item of a list that is a map goes with its last owner, as a whole; a plain list is one value',
    holds: withSample(async (api, name) => {
      const applied = (parts: Part[]): { metadata: { name: string }; spec: { parts: Part[] } } => ({
        metadata: { name },
        spec: { parts },
      });
      const [a, b, shared] = [{ name: 'a', weight: 1 }, { name: 'b', weight: 2 }, { name: 'shared' }];
      await api.apply(samples, applied([a, b, { ...shared, weight: 3 }]), me);
      await api.apply(samples, applied([{ ...shared, colour: 'red' }]), you);
      await api.patch(samples, { name }, { spec: { words: ['x', 'y'] } }, you);
      const { spec } = await api.apply(samples, applied([{ ...a, weight: 5 }]), me);
      const parts = [
        { name: 'a', weight: 5 },
        { name: 'shared', colour: 'red' },
      ];
      assert.deepEqual(spec, { parts, words: ['x', 'y'] });
    }),
  },
  {
    claim: 'apply to the status of what is not there is not found, and of what is there leaves the spec alone',
    holds: withSample(async (api, name) => {
      const intent = { metadata: { name }, status: { ready: true } };
      await failsWith('KUBE_NOT_FOUND', api.apply(samples, intent, { ...me, subresource: 'status' }));
      await api.apply(samples, { metadata: { name }, spec: { size: 1 } }, me);
      const { spec, status } = await api.apply(samples, intent, { ...me, subresource: 'status' });
      assert.deepEqual([spec, status], [{ size: 1 }, { ready: true }]);
      const after = await api.apply(samples, { metadata: { name }, spec: { size: 1 } }, me);
      assert.deepEqual(after.status, { ready: true });
    }),
  },
  {
    claim: 'preconditions of version and uid hold for patch, apply and delete; names and resources are checked',
    holds: withSample(async (api, name) => {
      const { metadata } = await api.create(samples, { metadata: { name }, spec: { size: 1 } }, me);
      const { resourceVersion = '' } = metadata;
      await failsWith('KUBE_ALREADY_EXISTS', api.create(samples, { metadata: { name } }, me));
      await api.patch(samples, { name }, { metadata: { resourceVersion }, spec: { size: 2 } }, me);
      const stale = { name, resourceVersion };
      await failsWith(
        'KUBE_CONFLICT',
        api.patch(samples, { name }, { metadata: { resourceVersion }, spec: { size: 3 } }, me),
      );
      await failsWith(
        'KUBE_CONFLICT',
        api.apply(samples, { metadata: stale, spec: { size: 3 } }, { ...me, force: true }),
      );
      await failsWith('KUBE_CONFLICT', api.delete(samples, { name }, { preconditions: { resourceVersion } }));
      await failsWith('KUBE_CONFLICT', api.delete(samples, { name }, { preconditions: { uid: 'another' } }));
      for (const illegal of ['No_Name', 'cut-.short', 'n'.repeat(254)])
        await failsWith('KUBE_INVALID', api.create(samples, { metadata: { name: illegal } }, me));
      await failsWith('KUBE_NOT_FOUND', api.list({ ...samples, plural: 'nothings' }));
      await failsWith('KUBE_REFUSED', api.list(samples, { fieldSelector: 'spec.size=1' }));
    }),
  },
  {
    claim: 'a finalizer holds a deleted object until it is taken off',
    holds: withSample(async (api, name) => {
      await api.create(samples, { metadata: { name, finalizers: ['contract.datadirect.dev/hold'] } }, me);
      await api.delete(samples, { name });
      assert((await api.get(samples, { name })).metadata.deletionTimestamp);
      await api.patch(samples, { name }, { metadata: { finalizers: null } }, me);
      await failsWith('KUBE_NOT_FOUND', api.get(samples, { name }));
    }),
  },
  {
    claim: 'a watch tells all changes since its version, and of a selection its comings and goings',
    holds: withSample(async (api, name) => {
      const { resourceVersion } = await api.list(samples);
      await api.create(samples, { metadata: { name }, spec: { size: 1 } }, me);
      await api.patch(samples, { name }, { metadata: { labels: { own: name } }, spec: { size: 2 } }, me);
      await api.patch(samples, { name }, { spec: { size: 3 } }, me);
      await api.patch(samples, { name }, { metadata: { labels: { own: null } }, spec: { size: 4 } }, me);
      await api.delete(samples, { name });
      const all = await watched(api, { fieldSelector: `metadata.name=${name}` }, resourceVersion, 5);
      assert.deepEqual(all, ['ADDED 1', 'MODIFIED 2', 'MODIFIED 3', 'MODIFIED 4', 'DELETED 4']);
      const chosen = await watched(api, { labelSelector: `own=${name}` }, resourceVersion, 3);
      assert.deepEqual(chosen, ['ADDED 2', 'MODIFIED 3', 'DELETED 3']);
    }),
  },
  {
    claim: 'a list longer than a page is whole, and its version is one to watch from',
    holds: async (api) => {
      const label = `page-${randomBytes(4).toString('hex')}`;
      const names = Array.from({ length: 501 }, (_, n) => `${label}-${n}`);
      await Promise.all(names.map((name) => api.create(samples, { metadata: { name, labels: { page: label } } }, me)));
      const { items, resourceVersion } = await api.list(samples, { labelSelector: `page=${label}` });
      await Promise.all(names.map((name) => api.delete(samples, { name })));
      assert.equal(new Set(items.map(({ metadata }) => metadata.name)).size, 501);
      assert.equal(items[0]?.kind, 'Sample');
      assert.equal((await watched(api, { labelSelector: `page=${label}` }, resourceVersion, 501)).length, 501);
    },
  },
  {
    claim: 'a reflector follows creation, change and deletion',
    holds: withSample(async (api, name) => {
      const changes: string[] = [];
      const errors: unknown[] = [];
      const reflector = new Reflector({
        api,
        resource: samples,
        selection: { fieldSelector: `metadata.name=${name}` },
        onChange: ({ type }) => changes.push(type),
        onError: (error) => errors.push(error),
      });
      reflector.start();
      await reflector.synced;
      await api.create(samples, { metadata: { name } }, me);
      await until(() => changes.length === 1);
      await api.patch(samples, { name }, { spec: { size: 2 } }, me);
      await until(() => reflector.get(name)?.spec?.size === 2);
      await api.delete(samples, { name });
      await until(() => changes.length === 3);
      await reflector.stop();
      assert.deepEqual([changes, errors], [['added', 'updated', 'deleted'], []]);
    }),
  },
  {
    claim: 'a lease is taken, renewed, given back and taken by another; a heartbeat is written',
    holds: async (api) => {
      const lease = { namespace: 'default', name: `c-${randomBytes(4).toString('hex')}` };
      const errors: unknown[] = [];
      const elector = (identity: string): LeaderElector =>
        new LeaderElector({
          api,
          lease,
          identity,
          retryMs: 1000, // also how long a server may take to answer
          onElected: () => {},
          onLost: (error) => errors.push(error),
          onError: (error) => errors.push(error),
        });
      const [one, two] = [elector('one'), elector('two')];
      one.start();
      await until(() => one.isLeader);
      const acquired = await api.get(leases, lease);
      two.start();
      await until(() => two.leader === 'one');
      await one.stop();
      await until(() => two.isLeader);
      const taken = await api.get(leases, lease);
      assert.deepEqual([taken.spec?.holderIdentity, taken.spec?.leaseDurationSeconds], ['two', 15]);
      assert.notEqual(taken.spec?.renewTime, acquired.spec?.renewTime);
      await two.stop();

      const onError = (error: unknown): number => errors.push(error);
      const heartbeat = new LeaseHeartbeat({ api, lease, holderIdentity: 'heart', fieldManager: 'heart', onError });
      heartbeat.start();
      await until(async () => (await api.get(leases, lease)).spec?.holderIdentity === 'heart');
      await heartbeat.stop();
      await api.delete(leases, lease);
      assert.deepEqual(errors, []);
    },
  },
  {
    claim: 'events are taken, once alone and then counted as a series',
    holds: withSample(async (api, name) => {
      const regarding = await api.create(samples, { metadata: { name } }, me);
      const errors: unknown[] = [];
      const recorder = new EventRecorder({
        api,
        reportingController: 'contract.datadirect.dev/recorder',
        reportingInstance: 'recorder-0',
        onError: (error) => errors.push(error),
      });
      const happening = { type: 'Warning', reason: 'Tried', action: 'Try', note: 'a try — '.repeat(200) } as const;
      const written = async (): Promise<KubeEvent[]> =>
        (await api.list(events, { namespace: 'default' })).items.filter((event) => event.regarding.name === name);
      recorder.record(regarding, happening);
      await until(async () => (await written()).length === 1);
      recorder.record(regarding, happening);
      await recorder.stop();
      const mine = await written();
      for (const { metadata } of mine) await api.delete(events, metadata);
      assert.deepEqual([errors, recorder.dropped, mine.map(({ series }) => series?.count)], [[], 0, [2]]);
    }),
  },
];
