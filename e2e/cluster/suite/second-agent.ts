// A second agent on the same node, outside of any pod: what a forced deletion or a wrong rollout makes of a DaemonSet for a moment.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from './world.ts';

const bundle = join(import.meta.dirname, '../../../build/bundle/agent.mjs');

/** Resolves when the kubelet follows it, and so no longer the first. */
export async function startSecondAgent(): Promise<{ end(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'data-direct-second-'));
  const file = (name: string): string => join(directory, name);
  await writeFile(
    file('spec.json'),
    JSON.stringify({ resources: [{ name: 'path', policy: 'second', policyGeneration: 1 }] }),
  );
  await writeFile(
    file('agent.json'),
    JSON.stringify({
      stateDir: file('state'),
      specFile: file('spec.json'),
      http: { address: '127.0.0.1', port: 19464 },
      virtualHost: { fixture: 'gb300-tray', deviceDir: file('dev'), controlSocket: file('virtual.sock') },
    }),
  );
  const agent = spawn(process.execPath, [bundle, '--config', file('agent.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(agent, 'exit');
  let log = '';
  agent.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await eventually('the second agent is registered', () => {
    if (agent.exitCode !== null) throw new Error(`the second agent ended: ${log}`);
    return Promise.resolve(log.includes('the kubelet follows this resource') || undefined);
  });
  return {
    async end() {
      agent.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true });
    },
  };
}
