// driver-core's numbers and the virtual ConnectX-8's against what a C compiler makes of the kernel's own headers.
import { expect, inject, test } from 'vitest';

import { firmwareQuestions, mlx5Headers } from '../abi/firmware.ts';
import { answers, ownAnswers } from '../abi/question.ts';
import { NEWER_THAN_6_12, uapiHeaders, uapiQuestions } from '../abi/uapi.ts';
import { virtualCx8Headers, virtualCx8Questions } from '../abi/virtual-cx8.ts';

test.each([
  ['uapi-6.12', NEWER_THAN_6_12],
  ['uapi-newest', new Set<string>()],
] as const)('every id, size and offset of verbs/abi.ts is that of %s', async (name, without) => {
  const { path, from } = inject('oracles')[name];
  const asked = uapiQuestions(without);
  expect(ownAnswers(asked)).toEqual(await answers(uapiHeaders(path, name === 'uapi-newest'), asked));
  console.log(`${asked.length} numbers are those of ${from.name} ${from.version}`);
});

test.each(['mlx5-6.12', 'mlx5-newest'] as const)(
  'every id, offset and width of verbs/firmware-abi.ts is that of %s',
  async (name) => {
    const { path, from } = inject('oracles')[name];
    const asked = firmwareQuestions();
    expect(ownAnswers(asked)).toEqual(await answers(mlx5Headers(path), asked));
    console.log(`${asked.length} numbers are those of ${from.name} ${from.version}`);
  },
);

test.each(['mlx5-6.12', 'mlx5-newest'] as const)(
  'every layout and constant of the virtual ConnectX-8 is that of %s',
  async (name) => {
    const { path, from } = inject('oracles')[name];
    const asked = virtualCx8Questions(name === 'mlx5-newest');
    expect(ownAnswers(asked)).toEqual(await answers(await virtualCx8Headers(path), asked));
    console.log(`${asked.length} numbers are those of ${from.name} ${from.version}`);
  },
);
