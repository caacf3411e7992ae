// Setup of every test file: property tests make the same cases on every machine and every day, so that only a change can break them.
// Other cases: PROPERTY_SEED=4711 vitest run …; a failure prints its seed. Cases that nobody has seen yet are for `make fuzz`.

import * as fc from 'fast-check';

const DEFAULT_SEED = 20_261_122;

const given = process.env['PROPERTY_SEED'] ?? String(DEFAULT_SEED);
const seed = Number(given);
if (given.trim() === '' || !Number.isInteger(seed))
  throw new Error(`PROPERTY_SEED is ${JSON.stringify(given)}, not a whole number`);

fc.configureGlobal({ seed });
