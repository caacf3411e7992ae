// The outcome as a table: a row for each case, a column for each kernel. A case is a test below a describe that has the
// kernel's series as its name.

import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { kernelSeries } from '../versions.ts';

const marks = { passed: '✓', failed: '✗', skipped: '-', pending: '?' } as const;

export class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = new Map<string, Map<string, string>>();
    for (const test of modules.flatMap((module) => [...module.children.allTests()])) {
      const [series = '', ...names] = namesOf(test);
      const row = rows.get(names.join(' › ')) ?? new Map<string, string>();
      rows.set(names.join(' › '), row.set(series, marks[test.result().state]));
    }
    for (const line of table(rows)) console.log(line);
  }
}

function table(rows: ReadonlyMap<string, ReadonlyMap<string, string>>): string[] {
  if (rows.size === 0) return [];
  const width = Math.max(...[...rows.keys()].map((name) => name.length));
  const line = (name: string, cells: readonly string[]): string =>
    `${name.padEnd(width)}  ${cells.map((cell) => cell.padStart(6)).join('')}`;
  return [
    line('', kernelSeries),
    ...[...rows].map(([name, row]) =>
      line(
        name,
        kernelSeries.map((series) => row.get(series) ?? ''),
      ),
    ),
  ];
}

/** From the outermost describe to the test. */
function namesOf(test: TestCase): string[] {
  const names = [test.name];
  for (let parent = test.parent; parent.type === 'suite'; parent = parent.parent) names.unshift(parent.name);
  return names;
}
