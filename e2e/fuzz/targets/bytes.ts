// Parsers of bytes that come from devices, the kernel or a container's files: each gives a value, or an error that names code and offset.

import * as fc from 'fast-check';
import { acsControl, hasAts } from '../../../driver-core/src/pci/config-space.ts';
import { parseVpd, VpdError } from '../../../driver-core/src/pci/vpd.ts';
import { parseUevent } from '../../../driver-core/src/host/uevents.ts';
import { definedVersions, ElfError } from '../../../driver-core/src/library/elf.ts';
import { libraryDefining } from '../../../driver-core/src/virtual/shared-library.ts';
import { encodeVpd } from '../../../driver-core/src/virtual/vpd.ts';
import { bytes, damaged, must, type Target, target } from '../target.ts';

const VPD = encodeVpd('Virtual ConnectX-8 SuperNIC', {
  PN: '900-9X81Q-00CN-ST0',
  SN: 'MT2421600CDE',
  V3: 'a5d80e3c5b7711f08000b45cb5355194',
  VU: 'MT2421600CDEMLNXDD0',
});
/** pci_vpd_size: an address has 15 bits. */
const MOST_VPD = 32_768;

const vpd = target(
  'vpd',
  'a VPD is read, or refused with a place inside it',
  fc.oneof(damaged(VPD), bytes(MOST_VPD)),
  (image) => {
    const broken = attempt(VpdError, () => parseVpd(image).broken);
    if (!broken) return;
    must(broken.offset <= image.length, () => `offset ${broken.offset} in ${image.length} bytes`);
    must(broken.code.startsWith('VPD_') && broken.message.length > 0, () => `error without code: ${broken.message}`);
  },
);

/** A chain of extended capabilities that leads anywhere, also back. */
const chained = fc
  .tuple(fc.constantFrom(64, 256, 4096), fc.array(fc.tuple(fc.nat(1023), fc.nat(0xffff_ffff)), { maxLength: 40 }))
  .map(([size, words]) => {
    const config = Buffer.alloc(size);
    for (const [word, value] of words) if (word * 4 + 4 <= size) config.writeUInt32LE(value, word * 4);
    return config;
  });

const configSpace = target(
  'config-space',
  'ACS and ATS are found, or said to be missing',
  fc.oneof(chained, bytes(4096)),
  (config) => {
    const acs = acsControl(config);
    const known = typeof acs === 'number' ? acs >= 0 && acs <= 0x7f : ['hidden', 'gone', 'absent'].includes(acs);
    must(known, () => `ACS is ${acs}`);
    must([true, false, undefined].includes(hasAts(config)), () => 'ATS is neither there nor not');
  },
);

const UEVENT = Buffer.from(
  'bind@/devices/pci0009:00/0009:00:00.0\0ACTION=bind\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0009:03:00.0\0SEQNUM=4711\0',
);

const uevent = target(
  'uevent',
  'a message is an event or nothing',
  fc.oneof(damaged(UEVENT), bytes(8192)),
  (message) => {
    const event = parseUevent(message);
    if (event?.kind === 'event') must(typeof event.env === 'object', () => 'an event without keys');
  },
);

const LIBRARY = libraryDefining(['MLX5_1.0', 'MLX5_1.24', 'MLX5_1.25']);

const elf = target(
  'elf',
  'the versions of a library are read, or refused with a place',
  fc.oneof(damaged(LIBRARY), bytes(4096)),
  (file) => {
    const broken = attempt(ElfError, () => void definedVersions(file, 'libmlx5.so.1'));
    if (broken) must(broken.message.startsWith('libmlx5.so.1: at offset 0x'), () => broken.message);
  },
);

/** What the parser says is wrong, by throwing or by returning it; any other error is passed on. */
function attempt<E extends Error>(
  kind: abstract new (...values: never[]) => E,
  parse: () => E | undefined | void,
): E | undefined {
  try {
    return parse() ?? undefined;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
}

export const byteTargets: readonly Target[] = [vpd, configSpace, uevent, elf];
