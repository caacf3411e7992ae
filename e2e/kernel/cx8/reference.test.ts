// docs/virtual-cx8.md has a row for each command and each fault, and none without one. A row that is missing is printed as it begins.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FAULTS } from './control.ts';
import { COMMANDS } from './nic/commands.ts';
import { type CommandName, opcodeOf } from './nic/opcodes.ts';

const page = readFileSync(new URL('../../../docs/virtual-cx8.md', import.meta.url), 'utf8');

/** The first cells of a section's rows, without the spaces that align them. */
function rowsOf(section: string, cells: number): string[] {
  const text = page.split(`\n## ${section}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((line) =>
    line
      .split('|')
      .slice(1, cells + 1)
      .map((cell) => cell.trim())
      .join(' '),
  );
}

test('every command has its row, and every row its command', () => {
  const names = Object.keys(COMMANDS) as CommandName[];
  const rows = names.map((name) => `\`${name}\` 0x${opcodeOf(name).toString(16)}`);
  expect(rowsOf('Commands', 2).toSorted()).toEqual(rows.toSorted());
});

test('every fault has its row, and every row its fault', () => {
  expect(rowsOf('Faults', 1).toSorted()).toEqual(FAULTS.map((name) => `\`${name}\``).toSorted());
});
