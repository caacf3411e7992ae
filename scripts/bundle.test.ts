import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
import { architectures, hostArchitecture } from './image/architectures.ts';
import { filesBelow } from './image/tree.ts';

// A stand-in for the programs with all that is hard to bundle: CommonJS packages, a native module, a room by its source.
const entry = `
import * as grpc from '@grpc/grpc-js';
import * as crds from '@data-direct/crds';
import koffi from 'koffi';
import http, { createServer } from 'node:http';
import { pino } from 'pino';
function namedForStackTraces() { throw new Error('boom'); }
const getpid = koffi.load('libc.so.6').func('int getpid()');
console.log(typeof grpc.Server, typeof pino, typeof crds, getpid() === process.pid);
console.log(typeof http.Agent, typeof createServer, process.moduleLoadList.some((name) => name.endsWith('undici/undici')));
try { namedForStackTraces(); } catch (error) { console.log(error.stack); }
`;

let work: string;
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'bundle-'));
  mkdirSync(join(work, 'source'));
  writeFileSync(join(work, 'source/entry.ts'), entry);
  symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), join(work, 'source/node_modules'));
  for (const directory of ['first', 'second']) {
    const entries = { program: join(work, 'source/entry.ts') };
    await bundle({ entries, directory: join(work, directory), architectures: [hostArchitecture()] });
  }
});
afterAll(() => {
  rmSync(work, { recursive: true });
});

test('a bundle runs with nothing but the files beside it, and its stack traces keep names and short lines', () => {
  const printed = execFileSync(process.execPath, [join(work, 'first/program.mjs')], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(printed).toContain('function function object true');
  expect(printed).toContain('function function false'); // node:http, without undici
  expect(printed).toMatch(/at namedForStackTraces \(.*program\.mjs:\d+:\d{1,3}\)/);
});

test('the same sources make the same bytes', async () => {
  const files = await filesBelow(join(work, 'first'));
  expect(await filesBelow(join(work, 'second'))).toEqual(files);
  const bytes = (directory: string, file: string): string => readFileSync(join(work, directory, file), 'latin1');
  expect(files.filter((file) => bytes('first', file) !== bytes('second', file))).toEqual([]);
});

test('of the native modules only the one of this architecture and of glibc goes along', async () => {
  const { npm } = architectures[hostArchitecture()];
  const natives = (await filesBelow(join(work, 'first'))).filter((file) => file.endsWith('.node'));
  expect(natives).toEqual([`node_modules/@koromix/koffi-linux-${npm}/linux_${npm}/koffi.node`]);
});

test('the licence text of every package in a bundle goes along', () => {
  const licences = readFileSync(join(work, 'first/licences.txt'), 'utf8');
  expect(licences).toMatch(/^@grpc\/grpc-js \S+ \(Apache-2\.0\)\n\n[^]*Apache License/m);
  expect(licences).toMatch(/^koffi \S+ \(MIT\)\n\n[^]*Permission is hereby granted/m);
  expect(licences).toMatch(/^pino \S+ \(MIT\)$/m);
});
