// The agent as a process: how it starts with bad input, what it serves, and how it ends.
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { requestChange } from '@data-direct/driver-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { onVirtualTray, startAgent } from './agent-process.fixture.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';

const PATH = 'datadirect.dev/path';
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'main-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, maxRetries: 5 });
});

test('a configuration with an unknown field ends the start, with file, field and expectation', async () => {
  const agent = startAgent(directory, { rescanSecond: 1 });
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
  const agent = startAgent(directory, {
    ...onVirtualTray(directory),
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
    const agent = startAgent(directory, onVirtualTray(directory));
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

  test('on SIGUSR2 it tells all it knows in one line, and goes on', async () => {
    const kubelet = new VirtualKubelet(directory);
    await kubelet.start();
    const agent = startAgent(directory, onVirtualTray(directory));
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
    agent.child.kill('SIGUSR2');
    expect(await agent.line('state, as asked by SIGUSR2')).toMatchObject({
      level: 'warn',
      state: {
        followed: { spec: { resources: [{ name: 'path', policy: 'p' }] } },
        lastRoundEndedMsAgo: expect.any(Number),
        resources: [{ name: 'path', devices: kubelet.healthy(PATH).map((id) => ({ id, healthy: true })) }],
        paths: expect.arrayContaining([expect.objectContaining({ id: '0000:03:00.0', reason: 'Paired' })]),
      },
    });
    expect(kubelet.healthy(PATH)).toHaveLength(4);
    kubelet.stop();
  });

  test('on SIGTERM it ends although a device hangs', async () => {
    const kubelet = new VirtualKubelet(directory);
    await kubelet.start();
    const agent = startAgent(directory, onVirtualTray(directory));
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
    const first = startAgent(directory, onVirtualTray(directory));
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4);
    first.child.kill('SIGKILL');
    await kubelet.until('none', () => kubelet.healthy(PATH).length === 0);
    startAgent(directory, onVirtualTray(directory));
    await kubelet.until('four paths again', () => kubelet.healthy(PATH).length === 4);
    expect(kubelet.registrations).toHaveLength(2);
    kubelet.stop();
  });
});
