// Which modules a guest needs with which others, and the tables by which its modprobe knows that: the packages bring none.

import type { ModuleInfo } from './modinfo.ts';
import { kernelError } from '../errors.ts';

/** The wanted modules and everything below them, each after what it depends on. */
export async function loadOrder(
  wanted: readonly string[],
  read: (name: string, neededBy: string) => Promise<ModuleInfo>,
): Promise<Map<string, ModuleInfo>> {
  const ordered = new Map<string, ModuleInfo>();
  const visit = async (name: string, path: readonly string[]): Promise<void> => {
    if (ordered.has(name)) return;
    if (path.includes(name)) throw kernelError('MODULE_LOOP', { names: [name, ...path] });
    const info = await read(name, path[0] ?? 'the rig');
    for (const dependency of info.depends) await visit(dependency, [name, ...path]);
    ordered.set(name, info);
  };
  for (const name of wanted) await visit(name, []);
  return ordered;
}

/** modules.dep(5): each module and all that must be loaded before it, the nearest first. */
export function modulesDep(modules: ReadonlyMap<string, ModuleInfo>): string {
  const below = (name: string): string[] => {
    const direct = modules.get(name)?.depends ?? [];
    return [...new Set(direct.flatMap((dependency) => [dependency, ...below(dependency)]))];
  };
  // A module that two of the others need must come after both in the line: modprobe loads it from the end.
  const order = [...modules.keys()];
  const lines = order.map((name) => {
    const needed = below(name).toSorted((a, b) => order.indexOf(b) - order.indexOf(a));
    return `${fileOf(name)}: ${needed.map(fileOf).join(' ')}`.trimEnd();
  });
  return `${lines.join('\n')}\n`;
}

export function modulesAlias(modules: ReadonlyMap<string, ModuleInfo>): string {
  return [...modules].flatMap(([name, { aliases }]) => aliases.map((alias) => `alias ${alias} ${name}\n`)).join('');
}

function fileOf(name: string): string {
  return `${name}.ko`;
}
