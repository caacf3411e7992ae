// How the demo is told: headings, tables, and claims that are either shown true or make it fail.
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colour only on a terminal. */
function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

const STATE_STYLE: Readonly<Record<string, Style>> = { Ready: 'green', Degraded: 'yellow', Unavailable: 'red' };

export class Stage {
  #scene = 0;
  #hasFailed = false;

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  title(text: string): void {
    console.log(paint('bold', text));
  }

  scene(text: string): void {
    this.#scene += 1;
    console.log(`\n${paint('bold', `${this.#scene}. ${text}`)}`);
  }

  say(text: string): void {
    console.log(`   ${text}`);
  }

  command(text: string): void {
    console.log(`   ${paint('cyan', `$ ${text}`)}`);
  }

  /** Says what is so if it is so; else what was found instead, and the demo fails. */
  claim(what: string, holds: boolean, found: string): void {
    if (holds) console.log(`   ${paint('green', '✓')} ${what}`);
    else this.fail(`${what}: not so, but ${found}`);
  }

  fail(what: string): void {
    this.#hasFailed = true;
    console.log(`   ${paint('red', '✗')} ${what}`);
  }

  table(header: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = header.map((cell, column) =>
      Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)),
    );
    const line = (cells: readonly string[]): string[] => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    console.log(`   ${paint('dim', line(header).join('  ').trimEnd())}`);
    for (const row of rows) console.log(`   ${line(row).map(painted).join('  ').trimEnd()}`);
  }

  pairs(values: Readonly<Record<string, string>>): void {
    const width = Math.max(...Object.keys(values).map((name) => name.length));
    for (const [name, value] of Object.entries(values)) console.log(`     ${name.padEnd(width)}  ${value}`);
  }
}

function painted(cell: string): string {
  const style = STATE_STYLE[cell.trim()];
  return style === undefined ? cell : paint(style, cell);
}
