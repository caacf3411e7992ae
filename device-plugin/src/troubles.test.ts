// An outage is many failed tries and one line.
import { createLog } from '@data-direct/process';
import { beforeEach, expect, test } from 'vitest';

import { Metrics } from './metrics.ts';
import { troubleTeller } from './troubles.ts';

let now: number;
let lines: string[];
let metrics: Metrics;
let tell: ReturnType<typeof troubleTeller>;

beforeEach(() => {
  now = 0;
  lines = [];
  metrics = new Metrics('0.1.0');
  const log = createLog('info', { write: (line: string) => lines.push((JSON.parse(line) as { error: string }).error) });
  tell = troubleTeller(log, metrics, () => now);
});

test('the same trouble is logged once in a while and counted each time', async () => {
  for (let tries = 0; tries < 5; tries += 1) tell('api', new Error('refused'));
  expect(lines).toEqual(['refused']);
  now = 11 * 60_000;
  tell('api', new Error('refused'));
  expect(lines).toEqual(['refused', 'refused']);
  expect(await metrics.registry.metrics()).toContain('data_direct_troubles_total{part="api",code="none"} 6');
});

test('another trouble, or of another part, is logged at once', () => {
  tell('api', new Error('refused'));
  tell('api', new Error('forbidden'));
  tell('checkpoint', new Error('forbidden'));
  expect(lines).toEqual(['refused', 'forbidden', 'forbidden']);
});
