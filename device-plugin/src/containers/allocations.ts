// Which environment the kubelet was answered for which devices. It replays that answer at every start of the container, long after the
// agent that gave it, so it is kept on disk. The kubelet does not say for which pod it asks; the devices are the key, for they are nobody
// else's as long as that container holds them.
import { fit, type Schema, sentence } from '@data-direct/crds';

import { StateFile } from '../state-file.ts';

export type Env = Readonly<Record<string, string>>;

export interface Allocation {
  /** The resource's name in the policy. */
  readonly resource: string;
  readonly ids: readonly string[];
  readonly env: Env;
}

export class Allocations {
  readonly #file: StateFile<readonly Allocation[]> | undefined;
  #known: readonly Allocation[] = [];
  #unsaved = false;
  #saving = Promise.resolve();

  /** Without a file they are known for as long as the process lives. */
  constructor(file?: string) {
    this.#file =
      file === undefined
        ? undefined
        : new StateFile({
            file,
            name: 'record of allocations',
            damaged: 'ALLOCATIONS_DAMAGED',
            next: 'containers that run already are not judged by their environment',
            parse: parsed,
          });
  }

  /** Throws ALLOCATIONS_DAMAGED; it can be used all the same. */
  load(): void {
    this.#known = this.#file?.read() ?? [];
  }

  /** What was answered before for any of these devices is over: the kubelet gives a device to one container at a time. */
  remember(allocation: Allocation): void {
    const { resource, ids, env } = allocation;
    if (env === this.given(resource, ids)) return; // in a burst the same answer is given again and again
    const others = this.#known.filter((each) => each.resource !== resource || !each.ids.some((id) => ids.includes(id)));
    this.#known = [...others, allocation];
    this.#unsaved = true;
  }

  /** The node is withdrawn: nothing of ours stays on it. Throws what the file system says. */
  clear(): void {
    this.#known = [];
    this.#unsaved = false;
    this.#file?.remove();
  }

  /** What a container with exactly these devices was given; undefined where that was before anything was remembered. */
  given(resource: string, ids: readonly string[]): Env | undefined {
    const known = this.#known.find((each) => each.resource === resource && isSame(each.ids, ids));
    return known?.env;
  }

  /**
   * Not at once in `remember`: the kubelet is not to wait for a disk. One call after the other. Rejects with what the file system says; the
   * next call tries again.
   */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#save());
    return this.#saving;
  }

  async #save(): Promise<void> {
    if (!this.#unsaved) return;
    this.#unsaved = false;
    try {
      await this.#file?.writeMeanwhile(this.#known);
    } catch (error) {
      this.#unsaved = true;
      throw error;
    }
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((id) => others.includes(id));
}

const text: Schema = { type: 'string' };
const shape: Schema = {
  type: 'array',
  items: {
    type: 'object',
    required: ['resource', 'ids', 'env'],
    properties: {
      resource: text,
      ids: { type: 'array', items: text },
      env: { type: 'object', additionalProperties: text },
    },
  },
};

function parsed(content: unknown): readonly Allocation[] {
  const { value, misfits } = fit(shape, content, { unknownFields: 'drop' });
  if (misfits.length > 0) throw new TypeError(misfits.map(sentence).join('; '));
  return value as readonly Allocation[];
}
