// Chapter: with an agent's token nothing can be written but what is of its own node.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { GROUP, VERSION } from '@data-direct/crds';
import {
  CoordinationV1Api,
  CustomObjectsApi,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { agentPod, comesTrue, eventually, NAMESPACE, type World } from './world.ts';

const ACCOUNT = 'data-direct-agent';
/** A Node without a machine: the policies select it, so the operator makes a DataDirectNode for it. */
const NEIGHBOUR = 'neighbour';

const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);

/** By client-node, which patches without reading first as kubectl does: an agent has no right to read what it patches. */
function clientOf(file: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(file);
  return config;
}

function forgeStatus(file: string, name: string): Promise<unknown> {
  const body = { status: { agentVersion: 'forged' } };
  const object = { group: GROUP, version: VERSION, plural: 'datadirectnodes', name, body };
  return clientOf(file).makeApiClient(CustomObjectsApi).patchClusterCustomObjectStatus(object, merge);
}

function forgeLease(file: string, name: string): Promise<unknown> {
  const body = { spec: { holderIdentity: 'forged' } };
  return clientOf(file)
    .makeApiClient(CoordinationV1Api)
    .patchNamespacedLease({ name, namespace: NAMESPACE, body }, merge);
}

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

    test('writes the status and the heartbeat of its own node', async () => {
      const { node } = world();
      await expect(forgeStatus(bound, node)).resolves.toBeDefined();
      await expect(forgeLease(bound, `${ACCOUNT}-${node}`)).resolves.toBeDefined();
    });

    test('does not write another node’s status', async () => {
      await expect(forgeStatus(bound, NEIGHBOUR)).rejects.toThrow(
        /the agent of node .* writes the status of its own DataDirectNode and its own heartbeat, not datadirectnodes neighbour/,
      );
    });

    test('does not take the operator’s Lease', async () => {
      await expect(forgeLease(bound, 'data-direct-operator')).rejects.toThrow(
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
      ['change a DataDirectNode', ['annotate', 'ddn', 'THE_NODE', 'a=b']],
      ['delete a DataDirectNode', ['delete', 'ddn', 'THE_NODE']],
      ['write a policy', ['annotate', 'ddp', 'gb300', 'a=b']],
      ['label a Node', ['label', 'node', 'THE_NODE', 'fenced=no']],
      ['read Secrets', ['get', 'secrets', '--namespace', NAMESPACE]],
    ])('has no right to %s', async (_what, args) => {
      const own = args.map((word) => (word === 'THE_NODE' ? world().node : word));
      await expect(as(bound, ...own)).rejects.toThrow(/Forbidden/);
    });

    test('that is bound to no pod writes nothing at all', async () => {
      await expect(forgeStatus(unbound, world().node)).rejects.toThrow(
        /the token of a node agent has to be bound to its pod/,
      );
    });
  });
}
