// How long it takes from the unbind of a DMA function until the new assessment is there, on the virtual tray: the kernel's event, the pause in which a
// burst is gathered, one round. The hardware answers at once here, so this is what our own code and the pause cost.
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { applyChange, createVirtualHost, follow, loadFixture, Observer } from '@data-direct/driver-core';

import { putSection } from './document.ts';

const { values } = parseArgs({ options: { runs: { type: 'string', default: '200' } } });
const runs = Number(values.runs);
/** As the agent has it (device-plugin/src/create-agent.ts). */
const DEBOUNCE_MS = 50;
const MINUTE_MS = 60_000;

interface Reaction {
  /** From the change until the round begins. */
  readonly heardMs: number;
  /** From the change until every path is assessed. */
  readonly assessedMs: number;
}

async function measure(change: 'unbind' | 'bind'): Promise<Reaction[]> {
  const host = createVirtualHost(await loadFixture('gb300-tray'));
  const observer = new Observer(host);
  const stop = new AbortController();
  const triggers = follow(host, {
    debounceMs: DEBOUNCE_MS,
    rescanMs: MINUTE_MS,
    portPollMs: MINUTE_MS,
    signal: stop.signal,
  });
  await triggers.next();
  await observer.round();
  const dmas = ['0009:03:00.0', '0008:03:00.0', '0019:03:00.0', '0018:03:00.0'];
  const reactions: Reaction[] = [];
  for (let run = 0; run < 2 * runs; run += 1) {
    const what = run % 2 === 0 ? 'unbind' : 'bind';
    const dma = dmas[Math.floor(run / 2) % dmas.length] ?? '';
    const next = triggers.next();
    await turn();
    const began = performance.now();
    applyChange(host, [what, dma]);
    const { value: trigger } = await next;
    const heardMs = performance.now() - began;
    const paths = await observer.round({ ...(trigger && { trigger }) });
    const assessedMs = performance.now() - began;
    const expected = what === 'unbind' ? 'DmaDriverNotBound' : 'Paired';
    if (!paths.some(({ dma: own, reason }) => own?.address === dma && reason === expected))
      throw new Error(`${what} ${dma}: no path is ${expected}`);
    if (what === change) reactions.push({ heardMs, assessedMs });
  }
  const ended = once(stop.signal, 'abort');
  stop.abort();
  await ended;
  await triggers.return(undefined);
  return reactions;
}

function percentile(values_: readonly number[], percent: number): string {
  const sorted = values_.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0).toFixed(1);
}

const rows: string[] = [];
for (const change of ['unbind', 'bind'] as const) {
  const reactions = await measure(change);
  const heard = reactions.map(({ heardMs }) => heardMs);
  const assessed = reactions.map(({ assessedMs }) => assessedMs);
  rows.push(
    `| ${change} | ${percentile(heard, 50)} | ${percentile(heard, 99)} | ${percentile(assessed, 50)} | ${percentile(assessed, 99)} |`,
  );
}
const table = [
  `| ${runs} times each | round begins, p50 ms | p99 | assessed, p50 ms | p99 |`,
  '| --- | --- | --- | --- | --- |',
  ...rows,
].join('\n');
console.log(table);
await putSection('reaction', table);
