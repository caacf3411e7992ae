// What every program says of a configuration that does not fit.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { COMMON_FIELDS, readCommandLine, readConfiguration, readVariables } from './configuration.ts';

function read(text: string): unknown {
  const directory = mkdtempSync(join(tmpdir(), 'configuration-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'a.json');
  writeFileSync(file, text);
  return readConfiguration({ type: 'object', properties: COMMON_FIELDS }, file);
}

test('what a file leaves out has a default', () => {
  const http = { address: '0.0.0.0', port: 9464, metricsAccess: 'Open' };
  expect(read('{}')).toEqual({ http, logLevel: 'info' });
  const tls = { certificate: '/tls/tls.crt', key: '/tls/tls.key' };
  expect(read(JSON.stringify({ http: { tls } }))).toEqual({ http: { ...http, tls }, logLevel: 'info' });
});

test.each([
  ['{"http": {"prot": 1}}', 'a.json: http.prot must be one of the fields address, port, tls, metricsAccess'],
  ['{"http": 9464}', 'http must be an object, got 9464'],
  ['{"http": {"port": "9464"}}', 'http.port must be a whole number from 0 to 65535, got "9464"'],
  ['{"http": {"tls": {"certificate": "/a"}}}', 'http.tls.key must be a string like ^/, got nothing'],
  ['{"logLevel": "loud"}', 'logLevel must be one of trace, debug, info, warn, error, fatal, got "loud"'],
  ['[]', 'the document must be an object, got []'],
  ['{', 'cannot be read as JSON'],
])('%s is refused with file, field and expectation', (text, problem) => {
  expect(() => read(text)).toThrow(problem);
});

test('the command line is a command, the first if none is named, and a configuration file', () => {
  const commands = ['run', 'retire'] as const;
  expect(readCommandLine([], commands)).toEqual({ command: 'run', configFile: undefined });
  expect(readCommandLine(['retire', '--config', '/a.json'], commands)).toEqual({
    command: 'retire',
    configFile: '/a.json',
  });
  expect(() => readCommandLine(['retier'], commands)).toThrow('unknown command retier; usage: [run | retire]');
  expect(() => readCommandLine(['--confg', 'x'], commands)).toThrow('usage:');
  expect(() => readCommandLine(['retire', 'now'], commands)).toThrow('unknown command retire now; usage:');
});

test('missing variables are named, and what would do instead', () => {
  expect(readVariables({ A: '1', B: '2', C: '3' }, ['A', 'B'] as const)).toEqual({ A: '1', B: '2' });
  expect(() => readVariables({ B: '' }, ['A', 'B'] as const, ', or a file')).toThrow(
    'A and B must be set in the environment (fieldRef of the pod), or a file',
  );
});
