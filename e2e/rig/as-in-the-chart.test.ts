import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { ENVIRONMENT, NODE_FLAGS } from './as-in-the-chart.ts';

const chart = readFileSync(
  join(import.meta.dirname, '../../charts/data-direct/templates/agent/daemonset.yaml'),
  'utf8',
);

test('benches and soaks start the agent as the chart does', () => {
  expect(chart).toContain(`value: ${NODE_FLAGS.join(' ')}\n`);
  for (const [name, value] of Object.entries(ENVIRONMENT))
    expect(chart).toMatch(new RegExp(`- name: ${name}\\s+value: "${value}"`));
});
