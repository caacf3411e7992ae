// Chapter: malformed and conflicting policies are refused where the person who wrote them sees it.
import { describe, expect, test } from 'vitest';

import { POLICY } from './installing.ts';
import { comesTrue, createPolicy, deletePolicy, expectAllocatable, policyNamed, type World } from './world.ts';

export function refusing(world: () => World): void {
  describe('a policy that cannot be', () => {
    test.each([
      ['an unknown mode', { resourceName: 'x', dataDirect: 'Maybe' }, 'spec.dataDirect'],
      ['a resource name that is no label', { resourceName: 'No_Good' }, 'spec.resourceName'],
      ['no resource name', {}, 'spec.resourceName'],
      ['no replicas', { resourceName: 'x', sharing: { replicas: 0 } }, 'spec.sharing.replicas'],
      [
        'an address that is none',
        { resourceName: 'x', nics: { pciAddresses: ['03:00.0'] } },
        'spec.nics.pciAddresses[0]',
      ],
      [
        'a variable that cannot be',
        { resourceName: 'x', environment: { extra: { '1A': 'x' } } },
        'spec.environment.extra',
      ],
    ])('%s is refused by the API server, which names the field', async (_what, spec, field) => {
      await expect(createPolicy(world(), 'refused', spec)).rejects.toThrow(
        expect.objectContaining({ message: expect.stringContaining(field) as string }) as Error,
      );
    });

    test('a field that nobody knows is refused by kubectl', async () => {
      const manifest = {
        apiVersion: 'datadirect.dev/v1alpha1',
        kind: 'DataDirectPath',
        metadata: { name: 'refused' },
        spec: { resourceName: 'x', datadirect: 'Required' },
      };
      await expect(
        world().cluster.kubectl(['create', '--validate=strict', '--filename', '-'], {
          input: JSON.stringify(manifest),
        }),
      ).rejects.toThrow('spec.datadirect');
    });

    test('the younger of two policies with one resource name is not accepted and names the other', async () => {
      await createPolicy(world(), 'younger', { resourceName: 'path' });
      await comesTrue('the conflict is reported', async () => {
        const { status } = await policyNamed(world(), 'younger');
        const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
        expect(accepted).toMatchObject({ status: 'False', reason: 'Conflict' });
        expect(accepted?.message).toContain(POLICY);
      });
      await expectAllocatable(world(), 4);
    });

    test('two policies that want one NIC: the older keeps it', async () => {
      await deletePolicy(world(), 'younger');
      await createPolicy(world(), 'other', { resourceName: 'other', nics: { pciAddresses: ['0000:03:00.0'] } });
      await comesTrue('the conflict over the NIC is reported', async () => {
        const { status } = await policyNamed(world(), 'other');
        const accepted = status?.conditions?.find(({ type }) => type === 'Accepted');
        expect(accepted).toMatchObject({ status: 'False', reason: 'Conflict' });
        expect(accepted?.message).toContain(POLICY);
        expect(accepted?.message).toContain('0000:03:00.0');
      });
      await expectAllocatable(world(), 4);
      await deletePolicy(world(), 'other');
    });
  });
}
