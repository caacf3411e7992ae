import { createVirtualHost, loadFixture, Observer } from '@data-direct/driver-core';
import { createLog } from '@data-direct/process';
import { expect, test } from 'vitest';

import { isOffered, Withheld } from './offered.ts';

test('the log names each SF that is not offered, once for as long as it is there', async () => {
  const paths = await new Observer(createVirtualHost(await loadFixture('sub-functions'))).round();
  const lines: { path: string; msg: string }[] = [];
  const log = createLog('info', { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const withheld = new Withheld();
  const sfs = paths.filter((path) => !isOffered(path));
  withheld.tell(sfs, log);
  withheld.tell(sfs, log);
  expect(lines.map(({ path }) => path)).toEqual([
    '0000:03:00.0/sf88',
    '0000:03:00.0/sf89',
    '0010:03:00.0/sf88',
    '0010:03:00.0/sf90',
  ]);
  expect(lines[0]?.msg).toContain('SF is not offered');
  withheld.tell([], log);
  withheld.tell(sfs.slice(0, 1), log);
  expect(lines).toHaveLength(5);
});
