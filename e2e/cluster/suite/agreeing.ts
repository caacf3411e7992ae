// Chapter: what our client relies on an API server for, put to the real one. kube/src/virtual/contract.test.ts puts the same claims to the
// virtual one, so that whatever is tested against that stands.
import { connect, type KubeApi } from '@data-direct/kube';
import { contract, contractCrd } from '@data-direct/kube/virtual';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type World } from './world.ts';

const crd = `crd/${contractCrd.metadata.name}`;

export function agreeing(world: () => World): void {
  describe('the contract that the virtual API server keeps, on the real one', () => {
    let api: KubeApi;

    beforeAll(async () => {
      await world().cluster.kubectl(['create', '--filename', '-'], { input: JSON.stringify(contractCrd) });
      await world().cluster.kubectl(['wait', '--for=condition=Established', crd, '--timeout=30s']);
      api = administrator(world());
    });
    afterAll(async () => {
      api?.close();
      await world().cluster.kubectl(['delete', crd, '--timeout=30s']);
    });

    test.each(contract)('$claim', async ({ holds }) => {
      await expect(holds(api)).resolves.toBeUndefined();
    });
  });
}

const pem = (base64: string): string => Buffer.from(base64, 'base64').toString();

/** Our own client, for once, with an administrator's rights. */
function administrator({ cluster }: World): KubeApi {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const { server, caData } = config.getCurrentCluster() ?? {};
  const { certData, keyData } = config.getCurrentUser() ?? {};
  if (!server || !caData || !certData || !keyData) throw new Error(`${cluster.kubeconfig} is not that of the rig`);
  const connection = { server, ca: pem(caData), cert: pem(certData), key: pem(keyData) };
  return connect(connection, { userAgent: 'data-direct-e2e' });
}
