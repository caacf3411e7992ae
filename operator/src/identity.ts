// Who this process is among the replicas that may lead.
import { randomUUID } from 'node:crypto';

/** `pod` is the name of a Deployment's or a Job's pod: no other pod ever has it. */
export function identityIn(pod: string): { readonly identity: string; readonly hasEnded: (holder: string) => boolean } {
  const prefix = `${pod}_`;
  return {
    identity: `${prefix}${randomUUID()}`,
    // An earlier container of this pod: the kubelet starts the next one only when the one before has ended.
    hasEnded: (holder) => holder.startsWith(prefix),
  };
}
