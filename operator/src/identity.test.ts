// Whose Lease need not run out before this process leads.
import { expect, test } from 'vitest';

import { identityIn } from './identity.ts';

test('an earlier container of the same pod has ended; other pods may live', () => {
  const { identity, hasEnded } = identityIn('operator-7f75f-h55fx');
  expect(identityIn('operator-7f75f-h55fx').identity).not.toBe(identity);
  expect(hasEnded(identityIn('operator-7f75f-h55fx').identity)).toBe(true);
  expect(hasEnded(identityIn('operator-7f75f-h55f').identity)).toBe(false);
  expect(hasEnded(identityIn('operator-7f75f-h55fxx').identity)).toBe(false);
});
