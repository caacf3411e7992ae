// What follows from an unchanging object alone is worked out once for it, and forgotten with it.

export function onceFor<Key extends object, Value>(work: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    const now = work(key);
    known.set(key, now);
    return now;
  };
}
