// The answers to Allocate for one resource, each made once and kept while what it follows from stays the same: pods come in bursts, and
// what a container is given changes with the node, not with the question.
import type { ContainerAllocation } from '../kubelet/protocol.ts';
import type { Pool } from '../pool.ts';
import { allocate, type AllocationContext } from './allocate.ts';

/** Of single devices there are at most some hundred on a node; of sets of them any number. */
const MOST_ANSWERS = 256;

export class KeptAnswers {
  #pool: Pool | undefined;
  #context: AllocationContext | undefined;
  readonly #answers = new Map<string, ContainerAllocation>();

  /** As `allocate`, whose refusals are not kept. Pools and contexts do not change: whatever is new comes with another object. */
  answer(pool: Pool, ids: readonly string[], context: AllocationContext): ContainerAllocation {
    this.#forgetUnlessOf(pool, context);
    const key = JSON.stringify(ids);
    const kept = this.#answers.get(key);
    if (kept) return kept;
    const answer = allocate(pool, ids, context);
    if (this.#answers.size === MOST_ANSWERS) this.#answers.clear();
    this.#answers.set(key, answer);
    return answer;
  }

  #forgetUnlessOf(pool: Pool, context: AllocationContext): void {
    const { node, hostPath, hasCdiDevice } = context;
    const before = this.#context;
    if (
      pool === this.#pool &&
      node === before?.node &&
      hostPath === before.hostPath &&
      hasCdiDevice === before.hasCdiDevice
    )
      return;
    this.#answers.clear();
    this.#pool = pool;
    this.#context = context;
  }
}
