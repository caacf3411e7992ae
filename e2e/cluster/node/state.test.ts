import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseState, readState, type RigState, writeState } from './state.ts';

const state: RigState = {
  bootId: 'b',
  fingerprint: 'f',
  toolchain: { clients: '/c', images: '/i', 'rdma-core': '/r', etcd: '/e', containerd: '/d', kubernetes: '/k' },
  sysctls: { 'kernel/panic': '0' },
  processes: { kubelet: { pid: 42, startTime: '1234' } },
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'state-test-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('the state file', () => {
  it('is read as it was written, and leaves nothing beside it', async () => {
    const file = join(directory, 'below/state.json');
    await writeState(state, file);
    expect(await readState(file)).toEqual(state);
    expect(await readdir(join(directory, 'below'))).toEqual(['state.json']);
  });

  it('that is not there means that there is no cluster', async () => {
    expect(await readState(join(directory, 'state.json'))).toBeUndefined();
  });

  it.each([
    ['{', 'is not JSON'],
    ['[]', 'is not an object'],
    [JSON.stringify({ ...state, bootId: 1 }), 'has no text in "bootId"'],
    [JSON.stringify({ ...state, toolchain: undefined }), 'has no table of texts in "toolchain"'],
    [JSON.stringify({ ...state, sysctls: { a: 1 } }), 'has no table of texts in "sysctls"'],
    [JSON.stringify({ ...state, processes: null }), 'has no table in "processes"'],
    [JSON.stringify({ ...state, processes: { init: { pid: 1, startTime: '0' } } }), 'has an unknown process "init"'],
    [
      JSON.stringify({ ...state, processes: { kubelet: { pid: 42 } } }),
      'has no pid and startTime in "processes.kubelet"',
    ],
    [
      JSON.stringify({ ...state, processes: { kubelet: { pid: -1, startTime: '0' } } }),
      'has no pid and startTime in "processes.kubelet"',
    ],
  ])('%s is refused with the reason', (text, reason) => {
    expect(() => parseState(text, '/x/state.json')).toThrow(`/x/state.json ${reason}`);
  });
});
