// What a log line says of an error.
import { expect, test } from 'vitest';

import { ProcessError } from './error.ts';
import { errorFields } from './log.ts';

test('a foreseen error is told by code, fields and sentence, with what lies behind it', () => {
  const error = new ProcessError('CONFIG_INVALID', 'a.json is wrong', { file: 'a.json' }, new Error('line 3'));
  expect(errorFields(error)).toEqual({ code: 'CONFIG_INVALID', file: 'a.json', error: 'a.json is wrong: line 3' });
});

test('of an error that nobody foresaw the stack is wanted too', () => {
  expect(errorFields(new TypeError('x is undefined'))).toEqual({
    error: 'x is undefined',
    stack: expect.stringContaining('log.test.ts') as string,
  });
});

test('whatever is thrown is told', () => {
  expect(errorFields('just text')).toEqual({ error: 'just text' });
  expect(errorFields(undefined)).toEqual({ error: 'undefined' });
});
