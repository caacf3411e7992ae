// How far one path, as its agent reports it, does what its policy asks. Pure; rollup and node labels count by it.
import type { DataDirectMode, NodePath } from '@data-direct/crds';

/** ready: as asked · usable: handed out, but not by Data Direct · out: not handed out · excluded: taken out on purpose. */
export type Verdict = 'ready' | 'usable' | 'out' | 'excluded';

/** By the reported state and not by the reason, which a newer agent may know and we may not. */
export function verdictOn(path: NodePath, mode: DataDirectMode): Verdict {
  if (path.reason === 'Excluded') return 'excluded';
  if (path.state === 'Ready') return 'ready';
  if (path.state === 'Unavailable') return 'out';
  return { Required: 'out', Preferred: 'usable', Disabled: 'ready' }[mode] as Verdict;
}
