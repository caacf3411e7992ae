// docs/reference/metrics.md has a row for each metric of agent and operator, and none without one. A row that is missing is printed as it should be.
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { Metrics } from '../device-plugin/src/metrics.ts';
import { createMetrics } from '../operator/src/metrics.ts';

const page = readFileSync(new URL('../docs/reference/metrics.md', import.meta.url), 'utf8');

interface Described {
  readonly name: string;
  readonly help: string;
  readonly type?: unknown;
  readonly labelNames?: readonly string[];
}

/** A line of HELP and TYPE as Prometheus reads them, with the labels, which it only sees once there are values. */
function row({ name, help, type, labelNames = [] }: Described): string {
  const labels = labelNames.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${String(type)} | ${labels} | ${help} |`;
}

/** Without the spaces that align the columns. */
function rowsOf(section: string): string[] {
  const text = page.split(`## ${section}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = text.split('\n').filter((line) => line.startsWith('| `data_direct_'));
  return lines.map((line) => line.replaceAll(/ {2,}/g, ' '));
}

/** Ours alone: the operator also has those that prom-client collects of any Node process. */
function expected(metrics: readonly Described[]): string[] {
  return metrics.filter(({ name }) => name.startsWith('data_direct_')).map((metric) => row(metric));
}

const operator = createMetrics({ isLeader: () => false, controller: () => undefined, now: () => 0 });

test.each([
  ['The agent', expected(new Metrics('0.1.0').registry.getMetricsAsArray())],
  ['The operator', expected(operator.registry.getMetricsAsArray())],
])('%s: every metric has its row, and every row its metric', (section, rows) => {
  expect(rowsOf(section).toSorted()).toEqual(rows.map((line) => line.replace('|  |', '| |')).toSorted());
});
