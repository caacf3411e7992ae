// The last spec on disk, so that a node serves its paths after a restart without an API server.
import type { DataDirectNodeSpec } from '@data-direct/crds';

import { nodeSpec } from './node-spec.ts';
import { StateFile } from './state-file.ts';

export class Checkpoint extends StateFile<DataDirectNodeSpec> {
  constructor(file: string) {
    super({
      file,
      name: 'checkpoint',
      damaged: 'CHECKPOINT_DAMAGED',
      next: 'it is written anew with the next spec',
      parse: (content) => nodeSpec(content, file, { unknownFields: 'drop' }),
    });
  }
}
