// Targets that fail in each way that one can, for the test of those who watch.

import * as fc from 'fast-check';
import { must, type Target, target } from './target.ts';

const SMALLEST_BAD = 100;
const isBad = (value: number): boolean => value >= SMALLEST_BAD;
const numbers = fc.nat(10_000);

export const TARGETS: readonly Target[] = [
  target('good', 'all is well', numbers, () => undefined),
  target('wrong', 'numbers are small', numbers, (value) => must(!isBad(value), () => `${value} is not small`)),
  target('endless', 'it ends', numbers, (value) => {
    while (isBad(value));
  }),
  target('silent', 'it answers', numbers, (value) => (isBad(value) ? new Promise(() => undefined) : undefined)),
  target('greedy', 'it is modest', numbers, (value) => {
    const kept: unknown[] = [];
    while (isBad(value)) kept.push(Array.from({ length: 1000 }, () => ({ value })));
  }),
];
