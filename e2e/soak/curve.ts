// A curve of memory and of open descriptors over time, as SVG. Pure.

export interface Sample {
  readonly minute: number;
  readonly mib: number;
  readonly descriptors: number;
}

const [WIDTH, HEIGHT, MARGIN] = [900, 320, 50];

export function drawCurve(samples: readonly Sample[]): string {
  const last = Math.max(...samples.map(({ minute }) => minute), 1);
  const most = roundUp(Math.max(...samples.map(({ mib }) => mib)));
  const mostDescriptors = roundUp(Math.max(...samples.map(({ descriptors }) => descriptors)));
  const x = (minute: number): number => MARGIN + (minute / last) * (WIDTH - 2 * MARGIN);
  const y = (share: number): number => HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN);
  const line = (share: (sample: Sample) => number, colour: string): string => {
    const points = samples.map((sample) => `${x(sample.minute).toFixed(1)},${y(share(sample)).toFixed(1)}`).join(' ');
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points}"/>`;
  };
  const grid = [0, 0.5, 1].map(
    (share) =>
      `<path d="M${MARGIN} ${y(share)}H${WIDTH - MARGIN}" stroke="#ddd"/>` +
      text(MARGIN - 6, y(share) + 4, `${most * share}`, 'end') +
      text(WIDTH - MARGIN + 6, y(share) + 4, `${mostDescriptors * share}`, 'start'),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...grid,
    line(({ descriptors }) => descriptors / mostDescriptors, '#c60'),
    line(({ mib }) => mib / most, '#06c'),
    text(
      MARGIN,
      24,
      'agent under random faults: anonymous memory in MiB (blue, left), open descriptors (orange, right)',
      'start',
    ),
    text(WIDTH - MARGIN, HEIGHT - 16, `${last.toFixed(0)} minutes`, 'end'),
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, words: string, anchor: 'start' | 'end'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
}

function roundUp(value: number): number {
  return Math.max(20, Math.ceil(value / 20) * 20);
}
