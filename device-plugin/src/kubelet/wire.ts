// Protobuf's wire format for fields with a length (protobuf.dev/programming-guides/encoding), as strings with one character a byte. For the one
// answer that comes in bursts: google-protobuf's writer makes 24 KiB of garbage for half a KiB of it, one array element a byte, and the
// young generation is small (docs/benchmarks.md). Everything else is written and read by google-protobuf.

const LENGTH_DELIMITED = 2;
const ALL_ASCII = /^[\0-\x7f]*$/;

/** A string, bytes or message as field `number`; `value` has one character a byte. */
export function field(number: number, value: string): string {
  return varint((number << 3) | LENGTH_DELIMITED) + varint(value.length) + value;
}

/** Text as UTF-8, one character a byte. */
export function utf8(text: string): string {
  return ALL_ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

export function toBytes(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

function varint(value: number): string {
  return value < 0x80 ? String.fromCharCode(value) : String.fromCharCode((value & 0x7f) | 0x80) + varint(value >>> 7);
}
