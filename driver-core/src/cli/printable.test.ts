import { styleText } from 'node:util';

import { expect, test } from 'vitest';

import { printable } from './printable.ts';

test('a device cannot clear the screen by its name', () => {
  expect(printable('mlx5_0\u001b[2J\u009b1A\0 is DOWN')).toBe('mlx5_0\\u001b[2J\\u009b1A\\u0000 is DOWN');
});

test('nor hide its name, or have it read backwards', () => {
  expect(printable('\u001b[8mmlx5_0\u001b[0m \u202emlx5_1')).toBe('\\u001b[8mmlx5_0\\u001b[0m \\u202emlx5_1');
});

test.each(['bold', 'red', 'green', 'yellow', 'gray'] as const)('%s stays what it is', (format) => {
  const painted = styleText(format, 'mlx5_0', { validateStream: false });
  expect(printable(painted)).toBe(painted);
});

test('colours, tabs, lines and letters of all scripts are shown', () => {
  const red = styleText('red', 'é\tü\nЖ', { validateStream: false });
  expect(printable(red)).toBe(red);
});

test('JSON with such a name is read as it was', () => {
  const names = { name: 'mlx5\u007f\u0080' };
  expect(JSON.parse(printable(JSON.stringify(names)))).toEqual(names);
});
