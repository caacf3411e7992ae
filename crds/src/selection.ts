// Which NIC belongs to which resource. Pure; the agent (to advertise) and the operator (to find conflicts) ask the same function.
import type { NicSelector } from './types.ts';

/** What the rule needs to know of a NIC function; NodePath and driver-core's Path both can say it. */
export interface SelectableNic {
  /** PCI address. */
  readonly id: string;
  /** RDMA device, or the PCI address where there is none. */
  readonly name: string;
  readonly nic: {
    readonly function: 'PF' | 'VF';
    readonly model?: string | undefined;
    readonly linkLayer?: 'InfiniBand' | 'Ethernet' | undefined;
    readonly defaultRoute?: boolean | undefined;
  };
}

/** ConnectX generations that can have a Data Direct DMA function. A VF in a guest does not show its generation. */
function canHaveDataDirect(model: string | undefined): boolean {
  const generation = /^ConnectX-(\d+)/.exec(model ?? '')?.[1];
  return generation !== undefined && Number(generation) >= 8;
}

/** All fields given must match; what is dangerous or old has to be named (DataDirectPath.spec.nics). */
export function selectsNic(selector: NicSelector, path: SelectableNic): boolean {
  const { pciAddresses, ibDevices, linkLayer } = selector;
  const named = pciAddresses !== undefined || ibDevices !== undefined;
  const { nic } = path;
  if (pciAddresses && !pciAddresses.includes(path.id)) return false;
  if (ibDevices && !ibDevices.includes(path.name)) return false;
  if (linkLayer && nic.linkLayer !== linkLayer) return false;
  if (nic.defaultRoute && !pciAddresses) return false;
  if (selector.function && nic.function !== selector.function) return false;
  if (named) return true;
  if (nic.function === 'VF')
    return selector.function === 'VF' && (nic.model === undefined || canHaveDataDirect(nic.model));
  return canHaveDataDirect(nic.model);
}

/** The first resource that selects the NIC has it: a NIC is never in two resources. Order is the operator's, oldest policy first. */
export function resourceOf<R extends { readonly nics: NicSelector }>(
  resources: readonly R[],
  path: SelectableNic,
): R | undefined {
  return resources.find((resource) => selectsNic(resource.nics, path));
}
