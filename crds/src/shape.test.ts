import { expect, test } from 'vitest';

import { fit, sentence } from './shape.ts';

test('a value that is nested deeper than can be shown is refused like any other', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  const { misfits } = fit({ type: 'string' }, deep, { unknownFields: 'refuse' });
  expect(misfits.map(sentence)).toEqual([
    expect.stringMatching(/^the document must be .*, got something nested too deeply to be shown$/),
  ]);
});
