// Writes protobuf's wire format (protobuf.dev/programming-guides/encoding) for messages of texts and messages. For the one answer that comes in
// bursts: google-protobuf's writer makes 24 KiB of garbage for half a KiB of it, one array element a byte, and the young generation is
// small (docs/benchmarks.md). Everything else is written and read by google-protobuf.

const LENGTH_DELIMITED = 2;
const MOST_VARINT_BYTES = 5;
const SHORT = 64;

/** From the last byte to the first, so that a length is known when it is written. What is repeated is therefore written last one first. */
export class BackwardWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #at = this.#buffer.length;

  text(number: number, text: string): void {
    const before = this.#written;
    if (!this.#ascii(text)) this.#utf8(text);
    this.#head(number, this.#written - before);
  }

  message(number: number, write: () => void): void {
    const before = this.#written;
    write();
    this.#head(number, this.#written - before);
  }

  /** All that was written, as bytes of their own; the next message may begin. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(this.#at));
    this.#at = this.#buffer.length;
    return bytes;
  }

  /** Names and numbers are short: two calls out of JavaScript for each cost more than the bytes. False where it is none. */
  #ascii(text: string): boolean {
    if (text.length > SHORT) return false;
    this.#reserve(text.length);
    const start = this.#at - text.length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      this.#buffer[start + index] = code;
    }
    this.#at = start;
    return true;
  }

  #utf8(text: string): void {
    const length = Buffer.byteLength(text);
    this.#reserve(length);
    this.#at -= length;
    this.#buffer.write(text, this.#at);
  }

  get #written(): number {
    return this.#buffer.length - this.#at;
  }

  #head(number: number, length: number): void {
    this.#reserve(2 * MOST_VARINT_BYTES);
    this.#varint(length);
    this.#varint((number << 3) | LENGTH_DELIMITED);
  }

  /** Low groups of seven bits first; all but the last say that another follows. */
  #varint(value: number): void {
    const bytes = Math.max(1, Math.ceil((32 - Math.clz32(value)) / 7));
    this.#at -= bytes;
    for (let index = 0; index < bytes; index += 1) {
      const follows = index < bytes - 1 ? 0x80 : 0;
      this.#buffer[this.#at + index] = ((value >>> (7 * index)) & 0x7f) | follows;
    }
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#at) return;
    const written = this.#buffer.subarray(this.#at);
    const larger = Buffer.allocUnsafe(2 * (written.length + bytes));
    this.#at = larger.length - written.length;
    larger.set(written, this.#at);
    this.#buffer = larger;
  }
}
