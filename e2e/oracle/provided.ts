// What vitest.config.ts hands to the tests: inject('oracles').

import type { Oracles } from './toolchain.ts';

declare module 'vitest' {
  interface ProvidedContext {
    oracles: Oracles;
  }
}
