// The agent as a process: how it starts with bad input, what it serves, and how it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { requestChange } from '@data-direct/driver-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';

const PATH = 'datadirect.dev/path';
const program = fileURLToPath(new URL('main.ts', import.meta.url));
let directory: string;
let started: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'main-'));
  started = [];
});
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

interface Running {
  child: ChildProcess;
  /** Resolves with the first log line that says this. */
  line(message: string): Promise<Record<string, unknown>>;
  status: Promise<number | null>;
}

function start(config: object): Running {
  const file = join(directory, 'agent.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, ['--conditions=@data-direct/source', program, '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
  });
  started.push(child);
  const lines: Record<string, unknown>[] = [];
  const news = new Set<() => void>();
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    for (const tell of news) tell();
  });
  return {
    child,
    line: (message) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find(({ msg }) => msg === message);
          if (found) resolve(found);
        };
        news.add(look);
        look();
      }),
    status: once(child, 'exit').then(([status]) => status as number | null),
  };
}

/** On a virtual tray, with a spec from a file and a kubelet below the test's directory. */
function virtualTray(): object {
  writeFileSync(
    join(directory, 'spec.json'),
    JSON.stringify({ resources: [{ name: 'path', policy: 'p', policyGeneration: 1, dataDirect: 'Required' }] }),
  );
  return {
    kubeletDir: directory,
    stateDir: join(directory, 'state'),
    specFile: join(directory, 'spec.json'),
    http: { address: '127.0.0.1', port: 0 },
    virtualHost: {
      fixture: 'gb300-tray',
      deviceDir: join(directory, 'dev'),
      controlSocket: join(directory, 'virtual.sock'),
    },
  };
}

test('a configuration with an unknown field ends the start, with file, field and expectation', async () => {
  const agent = start({ rescanSecond: 1 });
  expect(await agent.line('cannot go on')).toMatchObject({
    level: 'fatal',
    code: 'CONFIG_INVALID',
    error: expect.stringMatching(
      /agent\.json: rescanSecond must be one of the fields kubeletDir, .*, got an unknown field/,
    ),
  });
  expect(await agent.status).toBe(1);
});

test('a fixture that does not exist ends the start by its name', async () => {
  const agent = start({
    ...virtualTray(),
    virtualHost: { fixture: '/no/such/tray.json', deviceDir: join(directory, 'dev') },
  });
  expect(await agent.line('cannot go on')).toMatchObject({ error: expect.stringContaining('/no/such/tray.json') });
  expect(await agent.status).toBe(1);
});

/** Making device nodes takes root. In CI there is root, or these fail. */
describe.skipIf(process.getuid?.() !== 0 && process.env['CI'] === undefined)('as root', () => {
  test('on SIGTERM it ends cleanly: sockets and virtual devices are gone, and nothing was withdrawn', async () => {
    const kubelet = new VirtualKubelet(directory);
    await kubelet.start();
    const agent = start(virtualTray());
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
    const { devices } = await kubelet.allocate(PATH, kubelet.healthy(PATH));
    for (const { hostPath } of devices) expect(statSync(hostPath).isCharacterDevice()).toBe(true);
    agent.child.kill('SIGTERM');
    expect(await agent.status).toBe(0);
    expect(await agent.line('ended')).toBeDefined();
    expect(readdirSync(kubelet.plugins)).toEqual(['kubelet.sock']);
    expect(existsSync(join(directory, 'dev'))).toBe(false);
    expect(existsSync(join(directory, 'virtual.sock'))).toBe(false);
    expect(kubelet.resource(PATH)?.devices).toHaveLength(4);
    kubelet.stop();
  });

  test('on SIGTERM it ends although a device hangs', async () => {
    const kubelet = new VirtualKubelet(directory);
    await kubelet.start();
    const agent = start(virtualTray());
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
    await requestChange(join(directory, 'virtual.sock'), ['wedge', '0000:03:00.0']);
    await requestChange(join(directory, 'virtual.sock'), ['unbind', '0008:03:00.0']); // asks for a round, which then hangs
    agent.child.kill('SIGTERM');
    expect(await agent.status).toBe(0);
    kubelet.stop();
  });

  test('an agent that was killed is followed by one that takes over', async () => {
    const kubelet = new VirtualKubelet(directory);
    await kubelet.start();
    const first = start(virtualTray());
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
    first.child.kill('SIGKILL');
    await kubelet.until('none', () => kubelet.healthy(PATH).length === 0);
    start(virtualTray());
    await kubelet.until('four paths again', () => kubelet.healthy(PATH).length === 4);
    expect(kubelet.registrations).toHaveLength(2);
    kubelet.stop();
  });
});
