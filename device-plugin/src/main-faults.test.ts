// What the agent stands as a process: calls that block in the kernel for minutes, disks that are full, death at any moment.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { runVirtual } from '@data-direct/driver-core';
import { until } from '@data-direct/kube/virtual';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { onVirtualTray, startAgent, withSpec } from './agent-process.fixture.ts';
import { Allocations } from './containers/allocations.ts';
import { VirtualKubelet } from './kubelet/virtual/kubelet.ts';
import { generator } from './virtual/random.ts';

const PATH = 'datadirect.dev/path';
/** NIC functions of the fixture with two adapters of two ports, two of them VFs. */
const NICS = 6;
let directory: string;
let kubelet: VirtualKubelet;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'main-faults-'));
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  onTestFinished(() => {
    kubelet.stop();
    rmSync(directory, { recursive: true, maxRetries: 5 });
  });
});

/**
 * Opening a file that another process holds a lease on waits in the kernel until the lease is given back, or for
 * /proc/sys/fs/lease-break-time, 45 s as a rule (fcntl(2), F_SETLEASE): as an open does in a driver whose firmware does not answer.
 */
const HOLD = `
  import { openSync } from 'node:fs';
  import koffi from '${createRequire(import.meta.url).resolve('koffi')}';
  const [F_SETLEASE, F_WRLCK] = [1024, 1];
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, int argument)');
  process.on('SIGIO', () => {}); // somebody wants it
  for (const file of process.argv.slice(2))
    if (fcntl(openSync(file, 'r+'), F_SETLEASE, F_WRLCK) !== 0) throw new Error('no lease on ' + file);
  console.log('held');
  setInterval(() => {}, 1000);
`;

/** From now on who opens one of these waits. */
async function block(files: readonly string[]): Promise<void> {
  const script = join(directory, 'hold.mjs');
  writeFileSync(script, HOLD);
  const holder = spawn(process.execPath, [script, ...files], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const at = (name: string): string => join(directory, name);

/** A machine's /sys and device nodes as files: the agent takes them for its node's. */
async function trayOnDisk(): Promise<{ hostRoots: object; nodes: string[] }> {
  await runVirtual(['--fixture', 'dual-port', 'materialise', at('sys')]);
  mkdirSync(at('dev/infiniband'), { recursive: true });
  const nodes = Array.from({ length: NICS }, (_, index) => at(`dev/infiniband/uverbs${index}`));
  for (const node of nodes) writeFileSync(node, '');
  return { hostRoots: { sysfs: at('sys'), proc: at('proc'), dev: at('dev') }, nodes };
}

test('six opens that block: rounds, Allocate and /healthz go on, each path says so, and SIGTERM ends it in order', async () => {
  const { hostRoots, nodes } = await trayOnDisk();
  await block(nodes);
  const port = await freePort();
  const agent = startAgent(directory, {
    ...withSpec(directory, { dataDirect: 'Preferred' }),
    hostRoots,
    rescanSeconds: 1,
    http: { address: '127.0.0.1', port },
  });
  const page = async (name: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}/${name}`)).text();
  const figure = async (series: string): Promise<number> => {
    const line = (await page('metrics')).split('\n').find((each) => each.startsWith(`${series} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  await kubelet.until('the resource', () => kubelet.resource(PATH)?.devices.length === 4, 20_000);
  expect(kubelet.healthy(PATH)).toEqual([]);
  expect(await figure('data_direct_paths{state="Unavailable",reason="DeviceUnresponsive"}')).toBe(NICS);
  const rounds = await figure('data_direct_round_duration_seconds_count');
  await until(async () => (await figure('data_direct_round_duration_seconds_count')) >= rounds + 2, 'two more rounds');
  await expect(kubelet.allocate(PATH, ['0000:03:00.0'])).rejects.toThrow('DeviceUnresponsive');
  expect(await page('healthz')).toBe('ok\n');
  agent.child.kill('SIGTERM');
  // After 4 s it would end itself by force, with 1.
  expect(await agent.status).toBe(0);
}, 60_000);

/** Starting takes some hundred milliseconds. */
const LONGEST_LIFE_MS = 1500;
const LIVES = 10;

/** Every file that the agent keeps: links by what they lead to, JSON as what it says. Throws for one that is not whole. */
function kept(): Record<string, unknown> {
  const files: Record<string, unknown> = {};
  for (const name of listed('state/devices'))
    if (!name.endsWith('.new')) files[name] = readlinkSync(join(directory, 'state/devices', name));
  for (const name of listed('cdi'))
    if (name.endsWith('.json')) files[name] = JSON.parse(readFileSync(join(directory, 'cdi', name), 'utf8'));
  return files;
}

function listed(name: string): string[] {
  return existsSync(join(directory, name)) ? readdirSync(join(directory, name)) : [];
}

/** Making a virtual tray's device nodes takes root. In CI there is root, or these fail. */
describe.skipIf(process.getuid?.() !== 0 && process.env['CI'] === undefined)('as root', () => {
  test('killed at any moment, time and again: what it keeps is whole, and the next one says the same', async () => {
    const config = { ...onVirtualTray(directory), cdiDir: join(directory, 'cdi') };
    const whole = (): boolean => kubelet.healthy(PATH).length === 4;
    const first = startAgent(directory, config);
    await kubelet.until('four paths', whole, 20_000);
    const before = kept();
    first.child.kill('SIGKILL');
    const random = generator(1);
    for (let life = 0; life < LIVES; life += 1) {
      rmSync(join(directory, 'cdi'), { recursive: true, force: true }); // so that there is something to write
      rmSync(join(directory, 'state/devices'), { recursive: true, force: true });
      const agent = startAgent(directory, config);
      // Some die before they have begun, some among their first files, some after an allocation.
      await Promise.race([sleep(random() * LONGEST_LIFE_MS), kubelet.until('four paths', whole, 20_000)]);
      if (whole() && life % 2 === 0) await Promise.allSettled([kubelet.allocate(PATH, kubelet.healthy(PATH))]);
      agent.child.kill('SIGKILL');
      await agent.status;
      for (const [file, content] of Object.entries(kept())) expect([file, content]).toEqual([file, before[file]]);
      new Allocations(join(directory, 'state/allocations.json')).load(); // throws for one that is damaged
    }
    startAgent(directory, config);
    await kubelet.until('four paths of the last one', whole, 20_000);
    expect(kept()).toEqual(before);
    const { devices } = await kubelet.allocate(PATH, kubelet.healthy(PATH));
    expect(devices).toHaveLength(4);
  }, 120_000);

  test('a log that cannot be written, because the disk is full, ends nothing', async () => {
    const agent = startAgent(directory, onVirtualTray(directory), openSync('/dev/full', 'w'));
    await kubelet.until('four paths', () => kubelet.healthy(PATH).length === 4, 20_000);
    await kubelet.restart();
    await kubelet.until('four paths again', () => kubelet.healthy(PATH).length === 4);
    agent.child.kill('SIGTERM');
    expect(await agent.status).toBe(0);
  }, 40_000);
});
