// Chance that can be repeated: the same seed gives the same numbers. Numerical Recipes' linear congruential generator.

/** Numbers from 0 up to 1. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
