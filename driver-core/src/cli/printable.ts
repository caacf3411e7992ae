// What may be shown on a terminal. Names and texts come from devices, files and other people's containers; a terminal obeys control characters.

/**
 * All of C0, DEL and C1 but tab and newline, and what turns the direction of text or ends a line unseen. Of what styleText writes only the few that are
 * used here stay (bold, red, green, yellow, gray and their ends): others hide text.
 */
const CONTROL =
  // eslint-disable-next-line no-control-regex -- those are what it is for
  /\u001b\[(?:1|22|31|32|33|39|90)m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export function printable(text: string): string {
  return text.replace(CONTROL, (found) => (found.length > 1 ? found : escaped(found)));
}

/** As JSON writes them, so that JSON stays what it is. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
