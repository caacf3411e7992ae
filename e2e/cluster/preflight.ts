// What the cluster suite needs of a machine that it cannot install by itself.

/** What is missing, as it reads in "the cluster suite needs …"; undefined where it can run. */
export function obstacle(): string | undefined {
  if (process.platform !== 'linux') return `Linux (this is ${process.platform})`;
  if (process.getuid?.() !== 0) return 'root: it makes network namespaces, mounts and cgroups';
  return undefined;
}
