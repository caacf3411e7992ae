import { createLog } from '@data-direct/process';
import { expect, test } from 'vitest';

import { Notes } from './notes.ts';

test('the log has a note once, and again when it was gone in between', () => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) });
  const notes = new Notes();
  for (const seen of [['a'], ['a', 'b'], ['b'], ['a', 'b']]) notes.tell(seen, log);
  expect(lines).toEqual(['a', 'b', 'a']);
});
