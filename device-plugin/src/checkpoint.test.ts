// The last spec survives a restart; a file that is damaged is never believed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { Checkpoint } from './checkpoint.ts';
import { resource } from './test-support.ts';

let directory: string;
let file: string;
let checkpoint: Checkpoint;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  file = join(directory, 'state/spec.json');
  checkpoint = new Checkpoint(file);
});
afterEach(() => rmSync(directory, { recursive: true }));

const spec = { resources: [resource({ dataDirect: 'Required' })] };

test('what was written is read', () => {
  expect(checkpoint.read()).toBeUndefined();
  checkpoint.write(spec);
  expect(checkpoint.read()).toEqual(spec);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a write leaves one whole file, whatever a crash left before', () => {
  checkpoint.write(spec);
  writeFileSync(`${file}.new`, '{"half":');
  checkpoint.write(spec);
  expect(readdirSync(join(directory, 'state'))).toEqual(['spec.json']);
});

test('what was removed stays away', () => {
  checkpoint.write(spec);
  checkpoint.remove();
  checkpoint.remove();
  expect(checkpoint.read()).toBeUndefined();
});

test.each([
  ['cut off', (text: string) => text.slice(0, 40), 'it is no JSON'],
  ['empty', () => '', 'it is no JSON'],
  ['null', () => 'null', 'its version is undefined, expected 1'],
  ['of a newer agent', (text: string) => text.replace('"version":1', '"version":2'), 'its version is 2, expected 1'],
  ['changed', (text: string) => text.replace('Required', 'Disabled'), 'its checksum does not fit its content'],
])('a checkpoint that is %s is refused with its name, and then written anew', (_how, damage, sentence) => {
  checkpoint.write(spec);
  writeFileSync(file, damage(readFileSync(file, 'utf8')));
  expect(() => checkpoint.read()).toThrow(`checkpoint ${file} is not used: ${sentence}`);
  checkpoint.write(spec);
  expect(checkpoint.read()).toEqual(spec);
});
