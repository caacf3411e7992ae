// DataDirectNode.spec as it comes from outside (API server, file, checkpoint), checked and with its defaults.
import { type DataDirectNodeSpec, fit, type FitOptions, nodeSpecShape, sentence } from '@data-direct/crds';

import { AgentError } from './errors.ts';

/** Throws SPEC_INVALID. `source` says where it is from, such as a file's path. */
export function nodeSpec(document: unknown, source: string, options: FitOptions): DataDirectNodeSpec {
  const { value, misfits } = fit(nodeSpecShape, document, options);
  if (misfits.length > 0)
    throw new AgentError('SPEC_INVALID', `${source}: ${misfits.map(sentence).join('; ')}`, { source, misfits });
  const spec = value as DataDirectNodeSpec;
  const names = spec.resources.map((resource) => resource.name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw new AgentError('SPEC_INVALID', `${source}: two resources are named ${repeated}`, { source, repeated });
  return spec;
}
