// A value that was refused, as it stands in JSON, short enough for one line.

/** At most `longest` characters. What can be read can be nested deeper than what can be written. */
export function shown(value: unknown, longest: number): string {
  if (value === undefined) return 'nothing';
  const json = asJson(value);
  return json.length > longest ? `${json.slice(0, longest - 3)}…` : json;
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return 'something nested too deeply to be shown';
    throw error;
  }
}
