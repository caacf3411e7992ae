// Reads the Dockerfile as far as ours goes: files copied onto nothing, and an image configuration. Any other
// instruction is an error, so that `make image` and a container engine can only build the same image.

import { BuildError } from './errors.ts';
import type { OciImageConfig } from './oci.ts';

export interface DockerImage {
  /** Directories in the build context, lowest layer first; each is copied to /. */
  readonly layers: readonly string[];
  readonly config: OciImageConfig;
}

interface Draft {
  args: Map<string, string>;
  layers: string[];
  labels: Record<string, string>;
  config: OciImageConfig;
}

type Instruction = (draft: Draft, rest: string, refuse: (problem: string) => never) => void;

const instructions: Readonly<Record<string, Instruction>> = {
  FROM: (_, rest, refuse) => {
    if (rest !== 'scratch') refuse('only "FROM scratch" is understood');
  },
  ARG: (draft, rest) => {
    const [name = '', preset = ''] = rest.split('=', 2);
    if (!draft.args.has(name)) draft.args.set(name, preset);
  },
  COPY: (draft, rest, refuse) => {
    const [, directory] = /^([^\s-]\S*)\/ \/$/.exec(rest) ?? refuse('expected "COPY <directory>/ /"');
    draft.layers.push(directory ?? '');
  },
  LABEL: (draft, rest, refuse) => {
    const [, name, value] = /^([^\s=]+)="([^"]*)"$/.exec(rest) ?? refuse('expected "LABEL name="value""');
    draft.labels[name ?? ''] = value ?? '';
  },
  USER: (draft, rest) => {
    draft.config = { ...draft.config, User: rest };
  },
  ENTRYPOINT: (draft, rest, refuse) => {
    draft.config = { ...draft.config, Entrypoint: words(rest, refuse) };
  },
  CMD: (draft, rest, refuse) => {
    draft.config = { ...draft.config, Cmd: words(rest, refuse) };
  },
};

/** `args` are the build arguments; they win over the defaults in the file. */
export function parseDockerfile(text: string, args: Readonly<Record<string, string>>): DockerImage {
  const draft: Draft = { args: new Map(Object.entries(args)), layers: [], labels: {}, config: {} };
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const refuse = (problem: string): never => {
      throw new BuildError('DOCKERFILE_UNSUPPORTED', { line, problem });
    };
    const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    const instruction = instructions[word] ?? refuse('this instruction is not understood');
    instruction(draft, substitute(rest, draft.args, refuse), refuse);
  }
  return { layers: draft.layers, config: { ...draft.config, Labels: draft.labels } };
}

function substitute(text: string, args: ReadonlyMap<string, string>, refuse: (problem: string) => never): string {
  return text.replaceAll(/\$(?:\{(\w+)\})?/g, (_, name?: string) => {
    const value = name === undefined ? undefined : args.get(name);
    return value ?? refuse(`expected \${NAME} of a build argument that has a value`);
  });
}

function words(json: string, refuse: (problem: string) => never): readonly string[] {
  if (!/^\[("[^"\\]*"(, )?)*\]$/.test(json)) refuse('expected a JSON array of strings');
  return JSON.parse(json) as readonly string[];
}
