import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { BindingEvent, DmaFunctionEntry, NicEntry } from './vuid.ts';
import { BindingRegistry, sameVuid, Unbound } from './vuid.ts';

class Region {
  reason: Error | undefined;
  revoke(reason: Error): void {
    this.reason = reason;
  }
}

const dma = (address: string, vuid: string, incarnation = '1'): DmaFunctionEntry => ({ address, vuid, incarnation });
const nic = (address: string, vuid: string, changes: Partial<NicEntry> = {}): NicEntry => ({
  address,
  vuid,
  incarnation: '1',
  dma: undefined,
  ...changes,
});

function bindings(registry: BindingRegistry): string[] {
  return registry.nics.flatMap((address) => {
    const binding = registry.bindingOf(address);
    return binding ? [`${address}→${binding.dma.address}`] : [];
  });
}

/** Everything told, in one line each. */
function listening(registry: BindingRegistry): string[] {
  const told: string[] = [];
  registry.watch(({ kind, nic: of, dma: to }) => told.push(`${kind} ${of}→${to}`));
  return told;
}

describe('two VUIDs', () => {
  it.each<[string, string, boolean]>([
    ['A', 'A', true],
    ['A', 'a', false],
    ['A', 'A ', false],
    ['A\0rest', 'A', true],
    ['', '', true],
  ])('%j and %j', (a, b, same) => {
    expect(sameVuid(a, b)).toBe(same);
  });
});

describe('NICs and DMA functions', () => {
  it('are bound by whichever side comes second', () => {
    const registry = new BindingRegistry();
    const told = listening(registry);
    registry.dmaCame(dma('D1', 'X'));
    registry.nicCame(nic('N1', 'X'));
    registry.nicCame(nic('N2', 'Y'));
    registry.dmaCame(dma('D2', 'Y'));
    expect(told).toEqual(['bound N1→D1', 'bound N2→D2']);
  });

  it('share one DMA function where several have its VUID', () => {
    const registry = new BindingRegistry();
    registry.nicCame(nic('N1', 'X'));
    registry.nicCame(nic('N2', 'X'));
    registry.dmaCame(dma('D1', 'X'));
    expect(bindings(registry)).toEqual(['N1→D1', 'N2→D1']);
  });

  it('stay unbound between two DMA functions of one VUID, unless the kernel has named one', () => {
    const registry = new BindingRegistry();
    registry.dmaCame(dma('D1', 'X'));
    registry.dmaCame(dma('D2', 'X'));
    registry.nicCame(nic('N1', 'X'));
    registry.nicCame(nic('N2', 'X', { dma: 'D2' }));
    expect(bindings(registry)).toEqual(['N2→D2']);
    registry.dmaWent('D1');
    expect(bindings(registry)).toEqual(['N1→D2', 'N2→D2']);
  });

  it('that were away in between are told of twice, even if nobody saw them away', () => {
    const registry = new BindingRegistry();
    registry.dmaCame(dma('D1', 'X'));
    registry.nicCame(nic('N1', 'X'));
    const told = listening(registry);
    registry.dmaCame(dma('D1', 'X', '2'));
    registry.nicCame(nic('N1', 'X', { incarnation: '2' }));
    expect(told).toEqual(['unbound N1→D1', 'bound N1→D1', 'unbound N1→D1', 'bound N1→D1']);
  });
});

describe('registrations', () => {
  it('are revoked with the binding that they were made on, those of other NICs are not', () => {
    const registry = new BindingRegistry();
    registry.dmaCame(dma('D1', 'X'));
    registry.dmaCame(dma('D2', 'Y'));
    registry.nicCame(nic('N1', 'X'));
    registry.nicCame(nic('N2', 'Y'));
    const [first, second, later] = [new Region(), new Region(), new Region()];
    registry.hold('N1', first);
    registry.hold('N2', second);
    registry.dmaWent('D1');
    registry.dmaCame(dma('D1', 'X', '2'));
    registry.hold('N1', later);
    expect(first.reason).toBeInstanceOf(Unbound);
    expect(first.reason?.message).toContain('DMA function D1 of NIC N1 lost its driver');
    expect([second.reason, later.reason]).toEqual([undefined, undefined]);
  });

  it('that ended by themselves are left alone', () => {
    const registry = new BindingRegistry();
    registry.dmaCame(dma('D1', 'X'));
    registry.nicCame(nic('N1', 'X'));
    const region = new Region();
    const release = registry.hold('N1', region);
    release();
    registry.dmaWent('D1');
    expect(region.reason).toBeUndefined();
  });

  it('are revoked before anybody is told, so that whoever is told finds the truth', () => {
    const registry = new BindingRegistry();
    registry.dmaCame(dma('D1', 'X'));
    registry.nicCame(nic('N1', 'X'));
    const region = new Region();
    registry.hold('N1', region);
    const found: boolean[] = [];
    registry.watch(() => found.push(region.reason !== undefined));
    registry.nicWent('N1');
    expect(found).toEqual([true]);
  });
});

type Event =
  | { readonly kind: 'dmaCame'; readonly entry: DmaFunctionEntry }
  | { readonly kind: 'dmaWent' | 'nicWent'; readonly address: string }
  | { readonly kind: 'nicCame'; readonly entry: NicEntry };

const DMAS = ['D1', 'D2', 'D3'];
const NICS = ['N1', 'N2', 'N3', 'N4'];
const vuid = fc.constantFrom('X', 'Y', 'x', 'X ', 'X\0tail');
const incarnation = fc.constantFrom('1', '2', '3');
const event: fc.Arbitrary<Event> = fc.oneof(
  fc
    .record({ address: fc.constantFrom(...DMAS), vuid, incarnation })
    .map((entry): Event => ({ kind: 'dmaCame', entry })),
  fc.constantFrom(...DMAS).map((address): Event => ({ kind: 'dmaWent', address })),
  fc
    .record({
      address: fc.constantFrom(...NICS),
      vuid,
      incarnation,
      dma: fc.option(fc.constantFrom(...DMAS), { nil: undefined }),
    })
    .map((entry): Event => ({ kind: 'nicCame', entry })),
  fc.constantFrom(...NICS).map((address): Event => ({ kind: 'nicWent', address })),
);

function play(registry: BindingRegistry, one: Event): void {
  if (one.kind === 'dmaCame') registry.dmaCame(one.entry);
  else if (one.kind === 'nicCame') registry.nicCame(one.entry);
  else registry[one.kind](one.address);
}

/** Who is there after all events: the last word about each address. */
function lastSnapshot(events: readonly Event[]): Event[] {
  const last = new Map<string, Event>();
  for (const one of events) last.set('entry' in one ? one.entry.address : one.address, one);
  return [...last.values()].filter(({ kind }) => kind === 'dmaCame' || kind === 'nicCame');
}

function state(registry: BindingRegistry): string[] {
  return bindings(registry).toSorted();
}

/** What somebody believes who only listened. */
function believed(told: readonly BindingEvent[]): string[] {
  const now = new Set<string>();
  for (const { kind, nic: of, dma: to } of told) {
    const pair = `${of}→${to}`;
    expect(now.has(pair)).toBe(kind === 'unbound');
    if (kind === 'bound') now.add(pair);
    else now.delete(pair);
  }
  return [...now].toSorted();
}

describe('whatever happens in whatever order', () => {
  const events = fc.array(event, { maxLength: 40 });

  it('the bindings are those of the last snapshot, met in any order', () => {
    const shuffled = events.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(lastSnapshot(all), { minLength: lastSnapshot(all).length })),
    );
    fc.assert(
      fc.property(shuffled, ([all, snapshot]) => {
        const [lived, fresh] = [new BindingRegistry(), new BindingRegistry()];
        for (const one of all) play(lived, one);
        for (const one of snapshot) play(fresh, one);
        expect(state(lived)).toEqual(state(fresh));
      }),
    );
  });

  it('who listens knows the same, and is never told the same thing twice', () => {
    fc.assert(
      fc.property(events, (all) => {
        const registry = new BindingRegistry();
        const told: BindingEvent[] = [];
        registry.watch((one) => told.push(one));
        for (const one of all) play(registry, one);
        expect(believed(told)).toEqual(state(registry));
      }),
    );
  });

  it('a registration is revoked exactly when its binding ended after it was made', () => {
    const steps = fc.array(
      fc.oneof(
        event,
        fc.constantFrom(...NICS).map((on) => ({ on })),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const registry = new BindingRegistry();
        const ended = new Map<string, number>();
        registry.watch(({ kind, nic: of }) => kind === 'unbound' && ended.set(of, (ended.get(of) ?? 0) + 1));
        const held: { region: Region; on: string; endings: number }[] = [];
        for (const step of all) {
          if ('on' in step) {
            if (!registry.bindingOf(step.on)) continue;
            const region = new Region();
            registry.hold(step.on, region);
            held.push({ region, on: step.on, endings: ended.get(step.on) ?? 0 });
          } else play(registry, step);
        }
        for (const { region, on, endings } of held) {
          expect(region.reason !== undefined).toBe((ended.get(on) ?? 0) > endings);
        }
      }),
    );
  });
});
