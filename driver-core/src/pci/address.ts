// PCI addresses (domain:bus:device.function) as sysfs prints them, and the chain of them in a device's path.

/** Domains have four hex digits, more behind some host bridges (drivers/pci/controller/vmd.c counts from 0x10000). */
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$/;

export function isPciAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** The PCI functions on the way from the root bus to the function itself, which is the last; other components are left out. */
export function chainOf(path: string): string[] {
  return path.split('/').filter(isPciAddress);
}

/** The PCI function that a sysfs path ends in. */
export function addressOf(path: string): string | undefined {
  const last = path.slice(path.lastIndexOf('/') + 1);
  return isPciAddress(last) ? last : undefined;
}

/** Whom a call is charged to that reaches what is at a sysfs path: the PCI function there, or the SF: 0000:03:00.0/mlx5_core.sf.4. */
export function chargedAt(path: string): string {
  const address = chainOf(path).at(-1) ?? '';
  const last = path.slice(path.lastIndexOf('/') + 1);
  return last === address ? address : `${address}/${last}`;
}

/** Of what an SF is called by: 0000:03:00.0/sf88. */
export function pciAddressIn(id: string): string {
  const end = id.indexOf('/');
  return end < 0 ? id : id.slice(0, end);
}
