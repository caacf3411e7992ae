// Very many random hardware events against a whole agent in this process, in the tray's own time: after each it has to come to the truth, and in
// the end it may hold no more than at first. `make soak-events EVENTS=10000`. The bundled agent in real time is soak.ts's.
import { parseArgs } from 'node:util';

import { torment } from '@data-direct/device-plugin/virtual';

/** Code that was compiled meanwhile, and what the virtual kubelet remembers of every list it was sent. */
const HEAP_MIB = 12;

const { values } = parseArgs({
  options: { events: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});
const began = performance.now();
const { rounds, events, wrong, before, after } = await torment({
  events: Number(values.events),
  seed: Number(values.seed),
});
for (const [event, count] of [...events].toSorted(([a], [b]) => a.localeCompare(b)))
  console.log(`${String(count).padStart(6)} × ${event}`);
console.log(
  `${values.events} events, ${rounds} rounds reported, ${((performance.now() - began) / 1000).toFixed(0)} s; ` +
    `descriptors ${before.descriptors} → ${after.descriptors}, timers and sockets ${before.resources} → ${after.resources}, ` +
    `heap ${before.heapMib.toFixed(1)} → ${after.heapMib.toFixed(1)} MiB`,
);
for (const each of wrong) console.error(`not the truth after ${each}`);
const leaks = [
  after.descriptors > before.descriptors + 2 && 'descriptors',
  after.resources > before.resources + 2 && 'timers or sockets',
  after.heapMib > before.heapMib + HEAP_MIB && 'memory',
].filter((leak) => leak !== false);
for (const leak of leaks) console.error(`${leak} leaked`);
if (wrong.length > 0 || leaks.length > 0) process.exitCode = 1;
