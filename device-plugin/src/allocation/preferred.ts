// GetPreferredAllocation: which of the free devices the kubelet had better take. Pure, and never an error: on doubt a stable order.
import type { Pool } from '../pool.ts';

export interface PreferenceRequest {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  readonly size: number;
}

/**
 * What must be included, then different paths before a second replica of one, in order of PCI address: neighbours share a tray's
 * half. An error here would make the kubelet refuse the pod, again and again.
 */
export function preferred(pool: Pool, { available, mustInclude, size }: PreferenceRequest): string[] {
  const pathOf = new Map(pool.devices.map((device) => [device.id, device.path.id]));
  const chosen = new Set(mustInclude);
  const held = new Map<string, number>();
  const hold = (id: string): void => {
    const path = pathOf.get(id) ?? id;
    held.set(path, (held.get(path) ?? 0) + 1);
  };
  mustInclude.forEach(hold);
  const free = available.filter((id) => !chosen.has(id)).toSorted();
  while (chosen.size < size && free.length > 0) {
    const load = (id: string): number => held.get(pathOf.get(id) ?? id) ?? 0;
    const next = free.reduce((best, id) => (load(id) < load(best) ? id : best));
    free.splice(free.indexOf(next), 1);
    chosen.add(next);
    hold(next);
  }
  return [...chosen];
}
