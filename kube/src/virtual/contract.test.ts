// The virtual server keeps what this room relies on a server for. e2e puts the same claims to a real one.
import { expect, test } from 'vitest';
import { connectTo, startServer } from '../test-support.ts';
import { contract, contractResource } from './contract.ts';

test.each(contract)('$claim', async ({ holds }) => {
  const server = await startServer({ resources: [contractResource] });
  await expect(holds(connectTo(server))).resolves.toBeUndefined();
});
