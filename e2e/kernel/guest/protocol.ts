// What test process and guest agent say to each other, one JSON value a line.

import { deserialize, serialize } from 'node:v8';

export type Request =
  | { readonly id: number; readonly kind: 'function'; readonly source: string; readonly args: string }
  | { readonly id: number; readonly kind: 'shell'; readonly line: string };

export type Answer =
  | { readonly kind: 'hello'; readonly release: string; readonly node: string }
  | { readonly id: number; readonly kind: 'value'; readonly value: string }
  | {
      readonly id: number;
      readonly kind: 'error';
      readonly name: string;
      readonly message: string;
      readonly stack: string;
    };

/** Values by structured clone, so that Buffers, bigints and Maps arrive as such. Both ends are the same version of Node. */
export function pack(value: unknown): string {
  return serialize(value).toString('base64');
}

export function unpack(text: string): unknown {
  return deserialize(Buffer.from(text, 'base64'));
}
