// Figures that the suite measured on the way; printed at the end, never asserted on.
const figures: string[] = [];

export function figure(what: string, value: string): void {
  figures.push(`${what.padEnd(58)} ${value}`);
}

export function printFigures(): void {
  if (figures.length > 0) console.log(`\nmeasured on this run\n${figures.map((line) => `  ${line}`).join('\n')}\n`);
}

/** Median and extremes of a few runs, in milliseconds. */
export function spread(milliseconds: readonly number[]): string {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  return `${whole(sorted[0])} / ${whole(sorted[Math.floor(sorted.length / 2)])} / ${whole(sorted.at(-1))} ms (min / median / max of ${sorted.length})`;
}

function whole(value: number | undefined): string {
  return value === undefined ? '-' : `${Math.round(value)}`;
}
