// What may be shown on a terminal. Names and texts come from devices, files and other people's containers; a terminal obeys control characters.

/** All of C0, DEL and C1 but tab and newline; colours as styleText writes them stay. */
// eslint-disable-next-line no-control-regex -- those are what it is for
const CONTROL = /\u001b\[[0-9;]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export function printable(text: string): string {
  return text.replace(CONTROL, (found) => (found.length > 1 ? found : escaped(found)));
}

/** As JSON writes them, so that JSON stays what it is. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
