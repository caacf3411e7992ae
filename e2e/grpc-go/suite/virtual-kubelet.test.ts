// The virtual kubelet, which the unit tests lean on, with a plug-in that speaks grpc-go.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { VirtualKubelet } from '@data-direct/device-plugin/virtual';
import { beforeEach, expect, inject, onTestFinished, test } from 'vitest';

import { Talker } from '../talker.ts';

const RESOURCE = 'example.com/go';

interface Word {
  readonly asked: string;
  readonly with: readonly string[] | null;
}

let kubelet: VirtualKubelet;
let plugin: Talker<Word>;

beforeEach(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'grpc-go-'));
  kubelet = new VirtualKubelet(directory);
  await kubelet.start();
  plugin = new Talker<Word>(inject('programs').plugin, directory);
  onTestFinished(() => {
    plugin.kill();
    kubelet.stop();
    rmSync(directory, { recursive: true });
  });
  await kubelet.until('three devices', () => kubelet.healthy(RESOURCE).length === 3);
});

const asked = async (what: string): Promise<Word['with']> => (await plugin.next((word) => word.asked === what)).with;

test('it takes a Register, asks for options with the authority that grpc-go takes, and follows the list', async () => {
  expect(await asked('options')).toEqual(['localhost']);
  await asked('list');
  expect(kubelet.registrations).toMatchObject([{ version: 'v1beta1', resourceName: RESOURCE }]);
  expect(kubelet.resource(RESOURCE)).toMatchObject({
    options: { preStartRequired: true, getPreferredAllocationAvailable: true },
    devices: [
      { id: 'a', healthy: true, numaNode: 0 },
      { id: 'b', healthy: true, numaNode: 1 },
      { id: 'c', healthy: true, numaNode: 2 },
    ],
  });
});

test('it admits a pod as the real one does: preference, Allocate, PreStartContainer', async () => {
  const allocation = await kubelet.admit('pod', RESOURCE, 2);
  expect(await asked('prefer')).toEqual(['a', 'b', 'c', '2']);
  expect(await asked('allocate')).toEqual(['b', 'c']);
  expect(await asked('prestart')).toEqual(['b', 'c']);
  expect(allocation).toEqual({
    envs: { GO: '1', LIST: 'a,b' },
    devices: [{ containerPath: '/dev/in', hostPath: '/dev/out', permissions: 'rw' }],
    cdiDevices: ['example.com/go=a'],
  });
});

test('an error of the plug-in comes with its code and sentence', async () => {
  const refusal = kubelet.allocate(RESOURCE, ['nobody']);
  await expect(refusal).rejects.toMatchObject({ code: 3, details: 'nobody is not here' });
});

test('a device that breaks is seen, and a stream that the kubelet breaks ends at the plug-in', async () => {
  plugin.tell({});
  await kubelet.until('two devices', () => kubelet.healthy(RESOURCE).length === 2);
  kubelet.breakStream(RESOURCE);
  await asked('end');
  await kubelet.until('the end of the stream', () => kubelet.resource(RESOURCE)?.isConnected === false);
  expect(kubelet.healthy(RESOURCE)).toEqual([]);
});

test('a plug-in that dies leaves its devices behind, unhealthy', async () => {
  plugin.kill();
  await kubelet.until('none', () => kubelet.healthy(RESOURCE).length === 0);
  expect(kubelet.resource(RESOURCE)).toMatchObject({ isConnected: false });
  expect(kubelet.resource(RESOURCE)?.devices).toHaveLength(3);
});
