// Chapter: with an agent's token nothing can be written but what is of its own node.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { agentPod, comesTrue, eventually, NAMESPACE, type World } from './world.ts';

const ACCOUNT = 'data-direct-agent';
/** A Node without a machine: the policies select it, so the operator makes a DataDirectNode for it. */
const NEIGHBOUR = 'neighbour';

const patch = (what: object): string[] => ['--type', 'merge', '--patch', JSON.stringify(what)];

export function fencing(world: () => World): void {
  const as = async (config: string, ...args: string[]): Promise<string> =>
    (await world().cluster.kubectl(['--kubeconfig', config, ...args])).stdout;

  describe('the token of an agent', () => {
    let directory: string;
    /** Of the agent's own pod, as the kubelet would ask for it. */
    let bound: string;
    let unbound: string;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'data-direct-fencing-'));
      const { name = '' } = (await agentPod(world())).metadata ?? {};
      bound = await kubeconfig('bound', ['--bound-object-kind', 'Pod', '--bound-object-name', name]);
      unbound = await kubeconfig('unbound', []);
      await world().core.createNode({ body: { metadata: { name: NEIGHBOUR } } });
      await eventually('the neighbour has a DataDirectNode', () => world().cluster.kubectl(['get', 'ddn', NEIGHBOUR]));
    });

    afterAll(async () => {
      await world().core.deleteNode({ name: NEIGHBOUR });
      await comesTrue('its DataDirectNode goes with it', async () => {
        const { stdout } = await world().cluster.kubectl(['get', 'ddn', '--output', 'name']);
        expect(stdout).not.toContain(NEIGHBOUR);
      });
      await rm(directory, { recursive: true });
    });

    /** A file with the API server's address and this token in place of the administrator's certificate. */
    async function kubeconfig(name: string, binding: readonly string[]): Promise<string> {
      const asked = ['create', 'token', ACCOUNT, '--namespace', NAMESPACE, ...binding];
      const token = (await world().cluster.kubectl(asked)).stdout.trim();
      const { stdout } = await world().cluster.kubectl(['config', 'view', '--raw', '--minify', '--output', 'json']);
      const config = JSON.parse(stdout) as { users: { user: unknown }[] };
      for (const each of config.users) each.user = { token };
      const file = join(directory, `${name}.json`);
      await writeFile(file, JSON.stringify(config), { mode: 0o600 });
      return file;
    }

    const status = ['--subresource', 'status', ...patch({ status: { agentVersion: 'forged' } })];
    const beat = ['--namespace', NAMESPACE, ...patch({ spec: { holderIdentity: 'forged' } })];

    test('writes the status and the heartbeat of its own node', async () => {
      const { node } = world();
      await expect(as(bound, 'patch', 'ddn', node, ...status)).resolves.toContain('patched');
      await expect(as(bound, 'patch', 'lease', `${ACCOUNT}-${node}`, ...beat)).resolves.toContain('patched');
    });

    test('does not write another node’s status', async () => {
      await expect(as(bound, 'patch', 'ddn', NEIGHBOUR, ...status)).rejects.toThrow(
        /the agent of node .* writes the status of its own DataDirectNode and its own heartbeat, not datadirectnodes neighbour/,
      );
    });

    test('does not take the operator’s Lease', async () => {
      await expect(as(bound, 'patch', 'lease', 'data-direct-operator', ...beat)).rejects.toThrow(
        /its own heartbeat, not leases data-direct-operator/,
      );
    });

    test('does not beat for another node, not even by a Lease that is not there yet', async () => {
      const lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: `${ACCOUNT}-${NEIGHBOUR}`, namespace: NAMESPACE },
      };
      const create = ['--kubeconfig', bound, 'create', '--filename', '-'];
      await expect(world().cluster.kubectl(create, { input: JSON.stringify(lease) })).rejects.toThrow(
        /its own heartbeat, not leases data-direct-agent-neighbour/,
      );
    });

    test.each([
      ['change a spec', ['patch', 'ddn', 'THE_NODE', ...patch({ spec: { resources: [] } })]],
      ['delete a DataDirectNode', ['delete', 'ddn', 'THE_NODE']],
      ['write a policy', ['patch', 'ddp', 'gb300', ...patch({ spec: { dataDirect: 'Disabled' } })]],
      ['label a Node', ['label', 'node', 'THE_NODE', 'datadirect.dev/path=ready', '--overwrite']],
      ['read Secrets', ['get', 'secrets', '--namespace', NAMESPACE]],
    ])('has no right to %s', async (_what, args) => {
      const own = args.map((word) => (word === 'THE_NODE' ? world().node : word));
      await expect(as(bound, ...own)).rejects.toThrow(/Forbidden/);
    });

    test('that is bound to no pod writes nothing at all', async () => {
      await expect(as(unbound, 'patch', 'ddn', world().node, ...status)).rejects.toThrow(
        /the token of a node agent has to be bound to its pod/,
      );
    });
  });
}
