// DataDirectNode.spec as it comes from outside (API server, file, checkpoint), checked and with its defaults.
import {
  type DataDirectNodeSpec,
  fit,
  type FitOptions,
  type Misfit,
  type NodeResource,
  nodeSpecShape,
  sentence,
} from '@data-direct/crds';

import { milliseconds } from './duration.ts';
import { AgentError } from './errors.ts';

/** Throws SPEC_INVALID. `source` says where it is from, such as a file's path. */
export function nodeSpec(document: unknown, source: string, options: FitOptions): DataDirectNodeSpec {
  const { value, misfits } = fit(nodeSpecShape, document, options);
  if (misfits.length > 0) throw invalid(source, misfits);
  const spec = value as DataDirectNodeSpec;
  const broken = spec.resources.flatMap((resource, index) => brokenRules(resource, `resources[${index}]`));
  if (broken.length > 0) throw invalid(source, broken);
  const names = spec.resources.map((resource) => resource.name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new AgentError('SPEC_INVALID', `${source}: two resources are named ${repeated}`, { source, repeated });
  return spec;
}

function invalid(source: string, misfits: readonly Misfit[]): AgentError {
  return new AgentError('SPEC_INVALID', `${source}: ${misfits.map(sentence).join('; ')}`, { source, misfits });
}

const LEAST_INTERVAL = '10s';
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/;

/** What crds/src/schema.ts says in CEL: the API server has seen to it, nobody has for a file. */
function brokenRules({ verification, environment }: NodeResource, path: string): Misfit[] {
  const { interval } = verification;
  const tooShort = milliseconds(interval) < milliseconds(LEAST_INTERVAL);
  const illegal = Object.keys(environment.extra ?? {}).filter((name) => !VARIABLE_NAME.test(name));
  return [
    ...(tooShort
      ? [{ path: `${path}.verification.interval`, expected: `at least ${LEAST_INTERVAL}`, got: interval }]
      : []),
    ...illegal.map((name) => ({
      path: `${path}.environment.extra`,
      expected: `variables with names like ${VARIABLE_NAME.source}`,
      got: JSON.stringify(name),
    })),
  ];
}
