// A reflector's cache that knows of our own writes: until the watch brings them back, what the server answered counts.
// Without it a second round within milliseconds would decide by the old truth, write twice and tell an event twice.
import { type KubeObject, type ObjectMeta, Reflector, type ReflectorOptions, keyOf } from '@data-direct/kube';

/** What of a cache has nothing to do with the kind of its objects. */
export type Following = Pick<Reflector<KubeObject>, 'start' | 'stop' | 'synced' | 'health'>;

export class Cache<T extends KubeObject> {
  readonly #trim: (object: T) => T;
  readonly #reflector: Reflector<T>;
  readonly #written = new Map<string, T>();

  constructor(options: ReflectorOptions<T>) {
    this.#trim = options.trim ?? ((object) => object);
    this.#reflector = new Reflector(options);
  }

  get following(): Following {
    return this.#reflector;
  }

  get(key: string): T | undefined {
    const cached = this.#reflector.get(key);
    const written = this.#written.get(key);
    if (cached && written && isNewer(written.metadata, cached.metadata)) return written;
    this.#written.delete(key);
    return cached;
  }

  *values(): Generator<T> {
    for (const cached of this.#reflector.values()) yield this.get(keyOf(cached)) ?? cached;
  }

  /** Give it what the server answered to a write. Of an object that is not in the cache yet, its event is awaited. */
  wrote(answer: T): void {
    const object = this.#trim(answer);
    delete object.metadata.managedFields;
    if (this.#reflector.get(keyOf(object))) this.#written.set(keyOf(object), object);
  }
}

/** Resource versions of one resource are numbers that grow (KEP-5504). Of another incarnation of the object nothing is said. */
function isNewer(one: ObjectMeta, other: ObjectMeta): boolean {
  const [a = '', b = ''] = [one.resourceVersion, other.resourceVersion];
  return one.uid === other.uid && (a.length === b.length ? a > b : a.length > b.length);
}
