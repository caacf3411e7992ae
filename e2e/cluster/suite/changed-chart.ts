// A copy of the chart in which one file differs: what the next version, or another machine, would have.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chartDirectory } from '../release.ts';

export interface ChangedChart {
  readonly directory: string;
  remove(): Promise<void>;
}

/** Each change is of one file; one that changes nothing is an error, so that a chart which has moved on is noticed. */
export async function changedChart(changes: Readonly<Record<string, (text: string) => string>>): Promise<ChangedChart> {
  const directory = await mkdtemp(join(tmpdir(), 'data-direct-chart-'));
  await cp(chartDirectory, directory, { recursive: true });
  for (const [name, change] of Object.entries(changes)) {
    const file = join(directory, name);
    const text = await readFile(file, 'utf8');
    const changed = change(text);
    if (changed === text) throw new Error(`${name} of the chart has nothing of what was to be changed`);
    await writeFile(file, changed);
  }
  return { directory, remove: () => rm(directory, { recursive: true }) };
}
