// Chapter: `helm uninstall` leaves CRDs, policies and a 0 in the node's capacity, nothing else.
import { existsSync, readdirSync } from 'node:fs';

import { GROUP, VERSION } from '@data-direct/crds';
import { describe, expect, test } from 'vitest';

import { nodeDirectories, uninstallRelease } from '../release.ts';
import { POLICY } from './installing.ts';
import { CDI_FILE, comesTrue, NAMESPACE, policyNamed, RESOURCE, type World } from './world.ts';

/** True for a directory that holds nothing, or is not there. */
function isBare(directory: string): boolean {
  return !existsSync(directory) || readdirSync(directory, { recursive: true }).length === 0;
}

export function uninstalling(world: () => World): void {
  describe('helm uninstall', () => {
    test('takes the paths back from the kubelet: capacity is 0', async () => {
      await uninstallRelease(world().cluster);
      await comesTrue('the capacity is 0', async () => {
        const node = await world().core.readNode({ name: world().node });
        expect(node.status?.capacity?.[RESOURCE]).toBe('0');
      });
    });

    test('leaves no pods, jobs, leases, roles, admission policies or DataDirectNodes', async () => {
      await comesTrue('nothing of the release is left', async () => {
        const { stdout } = await world().cluster.kubectl([
          'get',
          'pods,jobs,leases,configmaps,serviceaccounts,roles,rolebindings,deployments,daemonsets',
          '--namespace',
          NAMESPACE,
          '--output',
          'name',
        ]);
        const own = stdout
          .split('\n')
          .filter((name) => name !== '' && !/kube-root-ca|serviceaccount\/default/.test(name));
        expect(own).toEqual([]);
        const elsewhere = await world().cluster.kubectl([
          'get',
          'clusterroles,clusterrolebindings,roles,rolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings',
          '--all-namespaces',
          '--output',
          'name',
        ]);
        expect(elsewhere.stdout).not.toContain('data-direct');
        const nodes = await world().custom.listClusterCustomObject({
          group: GROUP,
          version: VERSION,
          plural: 'datadirectnodes',
        });
        expect((nodes as { items: unknown[] }).items).toEqual([]);
      });
    });

    test('leaves no label on the node', async () => {
      const node = await world().core.readNode({ name: world().node });
      expect(Object.keys(node.metadata?.labels ?? {}).filter((name) => name.startsWith('datadirect.dev/'))).toEqual([]);
    });

    test('leaves CRDs and policies', async () => {
      await expect(policyNamed(world(), POLICY)).resolves.toMatchObject({ spec: { resourceName: 'path' } });
      const { items } = await world().extensions.listCustomResourceDefinition();
      expect(items.map(({ metadata }) => metadata?.name).filter((name) => name?.endsWith(GROUP))).toEqual([
        'datadirectnodes.datadirect.dev',
        'datadirectpaths.datadirect.dev',
      ]);
    });

    test('leaves no sockets, checkpoint, CDI file or virtual devices on the node', () => {
      expect(existsSync(CDI_FILE)).toBe(false);
      expect(readdirSync('/var/lib/kubelet/device-plugins').filter((name) => name.includes('datadirect'))).toEqual([]);
      for (const directory of nodeDirectories) {
        expect([directory, isBare(directory)]).toEqual([directory, true]);
      }
    });
  });
}
