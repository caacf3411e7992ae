// What a person wrote wrongly is told with file, field and expectation.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { readConfig } from './config.ts';

const pod = { NODE_NAME: 'node-1', POD_NAMESPACE: 'data-direct', POD_NAME: 'agent-x' };
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'config-'));
  file = join(directory, 'agent.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

function read(document: unknown): ReturnType<typeof readConfig> {
  writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document));
  return readConfig(file, pod);
}

test('every field has a default', () => {
  expect(readConfig(undefined, pod)).toEqual({
    kubeletDir: '/var/lib/kubelet',
    stateDir: '/var/lib/data-direct',
    hostRoots: { sysfs: '/sys', proc: '/proc/1', dev: '/dev' },
    http: { address: '0.0.0.0', port: 9464, metricsAccess: 'Open' },
    rescanSeconds: 300,
    logLevel: 'info',
    cluster: { node: 'node-1', namespace: 'data-direct', pod: 'agent-x' },
  });
});

test('a virtual host needs only its fixture', () => {
  expect(read({ virtualHost: { fixture: 'gb300-tray' } }).virtualHost).toEqual({
    fixture: 'gb300-tray',
    deviceDir: '/var/lib/data-direct-virtual/dev',
    controlSocket: '/run/data-direct/virtual.sock',
  });
});

test('with a spec file no cluster is needed', () => {
  writeFileSync(file, JSON.stringify({ specFile: '/etc/data-direct/spec.json' }));
  expect(readConfig(file, {}).cluster).toBeUndefined();
});

test.each([
  [{ rescanSecond: 5 }, 'rescanSecond must be one of the fields kubeletDir, stateDir,', 'an unknown field'],
  [{ http: { prot: 1 } }, 'http.prot must be one of the fields address, port,', 'an unknown field'],
  [{ rescanSeconds: 0 }, 'rescanSeconds must be a whole number from 1 to 3600, got 0', ''],
  [{ rescanSeconds: '30' }, 'rescanSeconds must be a whole number from 1 to 3600, got "30"', ''],
  [{ logLevel: 'loud' }, 'logLevel must be one of trace, debug, info, warn, error, fatal, got "loud"', ''],
  [{ kubeletDir: 'var/lib' }, 'kubeletDir must be a string like ^/, got "var/lib"', ''],
  [{ virtualHost: {} }, 'virtualHost.fixture must be a string that is not empty, got nothing', ''],
  [{ hostRoots: [] }, 'hostRoots must be an object, got []', ''],
  [[], 'the document must be an object, got []', ''],
  ['{ "http": ', 'cannot be read as JSON', ''],
])('%j is refused', (document, sentence, more) => {
  expect(() => read(document)).toThrow(file);
  expect(() => read(document)).toThrow(sentence);
  expect(() => read(document)).toThrow(more);
});

test('without an API server nobody can say whose token may read the metrics', () => {
  const document = { specFile: '/etc/data-direct/spec.json', http: { metricsAccess: 'TokenReview' } };
  expect(() => read(document)).toThrow('http.metricsAccess must be Open with specFile');
});

test('the node’s rdma-core cannot be mounted by CDI without CDI', () => {
  const rdmaCore = { root: '/host/root' };
  expect(() => read({ rdmaCore })).toThrow('rdmaCore needs cdiDir');
  expect(read({ rdmaCore, cdiDir: '/var/run/cdi' }).rdmaCore).toEqual({ root: '/host/root', oldestGlibc: '2.34' });
  expect(() => read({ rdmaCore: { oldestGlibc: 'new' }, cdiDir: '/var/run/cdi' })).toThrow('rdmaCore.oldestGlibc');
});

test('a missing file is named', () => {
  expect(() => readConfig(join(directory, 'none.json'), pod)).toThrow(join(directory, 'none.json'));
});

test('a pod without its node’s name is told what is missing', () => {
  expect(() => readConfig(undefined, { POD_NAMESPACE: 'x', POD_NAME: 'y' })).toThrow(
    'NODE_NAME must be set in the environment',
  );
});
