import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { AGENT_VERSION } from './version.ts';

test('the agent says the version of its package', () => {
  const packageFile = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  expect(AGENT_VERSION).toBe((JSON.parse(packageFile) as { version: string }).version);
});
