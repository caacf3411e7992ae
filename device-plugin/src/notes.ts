// What a round saw that is no path and that somebody may wonder about. The log gets each once, for as long as it is so.
import type { Log } from '@data-direct/process';

export class Notes {
  #told: ReadonlySet<string> = new Set();

  tell(notes: readonly string[], log: Log): void {
    for (const note of notes) if (!this.#told.has(note)) log.info(note);
    this.#told = new Set(notes);
  }
}
