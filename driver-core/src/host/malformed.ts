// What stands in a file of the kernel's and is not what the kernel writes there: it is passed over, and told of.

export interface Malformed {
  /** Absolute on the node. */
  readonly file: string;
  /** In bytes: where it departs from the rule. */
  readonly offset: number;
  readonly rule: string;
  /** What stands there, short enough for one line. */
  readonly found: string;
}

export type TellMalformed = (malformed: Malformed) => void;

const MOST_SHOWN = 60;

export function malformedAt(file: string, offset: number, rule: string, text: string): Malformed {
  const found = JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text);
  return { file, offset, rule, found };
}

export function sentenceOf({ file, offset, rule, found }: Malformed): string {
  return `${file}, byte ${offset}: expected ${rule}, got ${found}: passed over`;
}
