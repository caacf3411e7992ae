// Gives memory back after work. Node 24 collects the garbage of a burst only when the next one needs room, keeps the pages of what it collected
// until the collection after that, keeps the machine code that the burst was worth, and glibc keeps what was freed: of the 60 MiB of an
// agent that has answered 30 000 allocations, nobody uses 36 (docs/adr/0024). Needs --expose-gc, which the chart gives; without it nothing happens.
import { setFlagsFromString } from 'node:v8';

import koffi from 'koffi';

/** Work that comes sooner than this after the last is the same burst; V8 needs some seconds for its part, too. */
const QUIET_MS = 8000;
/** Less is not worth two collections, which take some 20 and 30 ms. */
const WORTH_IT = 100;

export interface Memory {
  collect(): void;
  /** Compiled code as well: the next burst compiles what it needs, and is no slower after its first three hundred calls. */
  collectAll(): void;
  /** Gives to the kernel what is free. */
  trim(): void;
}

export class GiveBack {
  readonly #memory: Memory | undefined;
  #work = 0;
  #collection: NodeJS.Timeout | undefined;
  #release: NodeJS.Timeout | undefined;

  /** Starting is work, too: what was read once is garbage by now. */
  constructor(memory: Memory | undefined = ownMemory()) {
    this.#memory = memory;
    this.worked(WORTH_IT);
  }

  readonly worked = (amount = 1): void => {
    const memory = this.#memory;
    this.#work += amount;
    if (!memory || this.#work < WORTH_IT) return;
    clearTimeout(this.#release);
    if (this.#collection) this.#collection.refresh();
    else this.#collection = later(() => this.#collect(memory));
  };

  #collect(memory: Memory): void {
    this.#work = 0;
    this.#collection = undefined;
    memory.collect();
    this.#release = later(() => {
      memory.collectAll();
      memory.trim();
    });
  }
}

function later(work: () => void): NodeJS.Timeout {
  return setTimeout(work, QUIET_MS).unref();
}

function ownMemory(): Memory | undefined {
  const { gc } = globalThis;
  if (!gc) return undefined;
  // V8 would look every eight seconds whether to collect as well, and at rest do so twice, 30 ms each (v8/src/heap/memory-reducer.cc).
  setFlagsFromString('--memory-reducer-gc-count=0');
  const mallocTrim = koffi.load(null).func('int malloc_trim(size_t pad)'); // glibc's own word (man 3 malloc_trim)
  return {
    collect() {
      gc();
    },
    collectAll() {
      gc({ type: 'major', flavor: 'last-resort' });
    },
    trim: () => void mallocTrim(0),
  };
}
