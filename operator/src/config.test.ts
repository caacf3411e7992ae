import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { readConfig, readPod } from './config.ts';

function fileWith(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'operator-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'operator.json');
  writeFileSync(file, text);
  return file;
}

test('without a file, and for what a file leaves out, there are defaults', () => {
  const http = { address: '0.0.0.0', port: 9464, metricsAccess: 'Open' };
  const defaults = {
    http,
    logLevel: 'info',
    lease: { name: 'data-direct-operator' },
    deployment: { name: 'data-direct-operator' },
    heartbeatSeconds: 300,
  };
  expect(readConfig(undefined)).toEqual(defaults);
  const file = fileWith('{"http": {"port": 8080}, "lease": {}, "logLevel": "debug"}');
  expect(readConfig(file)).toEqual({ ...defaults, http: { ...http, port: 8080 }, logLevel: 'debug' });
});

test.each([
  ['{"heartbeat": 1}', 'heartbeat must be one of the fields http, logLevel, lease, deployment, heartbeatSeconds'],
  ['{"lease": {"name": "No Good"}}', 'lease.name must be a string like ^[a-z0-9]'],
  ['{"heartbeatSeconds": 0}', 'heartbeatSeconds must be a whole number from 1 to 86400, got 0'],
  ['{', 'cannot be read as JSON'],
])('%s is refused with file, field and expectation', (text, problem) => {
  const file = fileWith(text);
  expect(() => readConfig(file)).toThrow(file);
  expect(() => readConfig(file)).toThrow(problem);
});

test('a pod that does not know its name or namespace is told which variable is missing', () => {
  expect(readPod({ POD_NAMESPACE: 'ns', POD_NAME: 'operator-0' })).toEqual({ namespace: 'ns', name: 'operator-0' });
  expect(() => readPod({ POD_NAME: 'operator-0' })).toThrow('POD_NAMESPACE must be set');
  expect(() => readPod({})).toThrow('POD_NAMESPACE and POD_NAME must be set');
});
