// What the operator says of a DataDirectNode, and how it sees that its agent has taken everything back.
import type { NodeResource } from '@data-direct/crds';
import type { ApplyOptions, Intent, OwnerReference } from '@data-direct/kube';

import { FIELD_MANAGER, type NodeObject } from './objects.ts';

/** By force: what the operator says is compiled from policies, and an edit by hand would only hide them. */
export const asOperator: ApplyOptions = { fieldManager: FIELD_MANAGER, force: true };

/** All that the operator owns of the object: what is not said here is taken away by server-side apply. */
export function nodeIntent(
  name: string,
  ownerReferences: OwnerReference[],
  resources: NodeResource[],
): Intent<NodeObject> {
  return { metadata: { name, ownerReferences }, spec: { resources } };
}

/** The agent has seen that nothing is asked of it, and holds nothing at the kubelet any more. */
export function hasWithdrawn({ metadata, spec, status }: NodeObject): boolean {
  return (
    spec.resources.length === 0 &&
    status?.observedGeneration === metadata.generation &&
    (status?.resources ?? []).length === 0
  );
}
