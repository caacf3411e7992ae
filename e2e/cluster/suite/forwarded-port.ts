// A port of a pod on this machine's loopback, by `kubectl port-forward`: the pod's network can be reached from nowhere else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { World } from './world.ts';

export interface ForwardedPort {
  readonly port: number;
  end(): Promise<void>;
}

export async function forwardPort(
  { cluster }: World,
  pod: string,
  namespace: string,
  to: number,
): Promise<ForwardedPort> {
  const args = ['--kubeconfig', cluster.kubeconfig, 'port-forward', '--namespace', namespace, `pod/${pod}`, `:${to}`];
  const kubectl = spawn(join(cluster.clients, 'kubectl'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(kubectl, 'exit');
  const lines = createInterface(kubectl.stdout);
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => line as string),
    ended.then(() => 'kubectl port-forward ended'),
  ]);
  const port = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(first)?.[1];
  if (port === undefined) throw new Error(first);
  return {
    port: Number(port),
    async end() {
      kubectl.kill();
      await ended;
    },
  };
}
