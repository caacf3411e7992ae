// What a test's function is given in the guest: driver-core, and the few things that a test needs besides.

import * as fs from 'node:fs';
import koffi from 'koffi';
import { DataDirect } from '../../../driver-core/src/binding/data-direct.ts';
import { Observer } from '../../../driver-core/src/path/observe.ts';
import { parseVpd } from '../../../driver-core/src/pci/vpd.ts';
import * as abi from '../../../driver-core/src/verbs/abi.ts';
import * as context from '../../../driver-core/src/verbs/context.ts';
import * as memoryRegion from '../../../driver-core/src/verbs/memory-region.ts';
import * as request from '../../../driver-core/src/verbs/request.ts';
import { code, must } from './answers.ts';
import { agreementOn } from './agreement.ts';
import { askFirmware, sendToFirmware } from './ask-firmware.ts';
import { askNic } from './ask-nic.ts';
import { askVpd } from './ask-vpd.ts';
import { BindingFollower } from './binding-follower.ts';
import { askDiscovery, askRegistration } from './data-direct-requests.ts';
import { drivers } from './drivers.ts';
import { eventually } from './eventually.ts';
import { Loopback } from './loopback.ts';
import { ACCESS, Verbs } from './libibverbs.ts';
import { PathFollower } from './path-follower.ts';
import { shell } from './shell.ts';
import { askSoftwareDevice } from './software-device.ts';
import { closeLeftDevices, openTrackedHost } from './tracked-host.ts';
import { UeventListener } from './uevents.ts';

export const guest = {
  fs,
  shell,
  openLinuxHost: openTrackedHost,
  closeLeftDevices,
  DataDirect,
  Observer,
  parseVpd,
  drivers,
  askFirmware,
  sendToFirmware,
  askNic,
  askVpd,
  agreementOn,
  askDiscovery,
  askRegistration,
  BindingFollower,
  PathFollower,
  eventually,
  verbs: { abi, ...context, ...memoryRegion, ...request },
  code,
  must,
  Loopback,
  UeventListener,
  /** What lives from one request to the next. */
  kept: {} as { listener?: UeventListener; follower?: BindingFollower; paths?: PathFollower },
  askSoftwareDevice,
  libibverbs: { Verbs, ACCESS },
  /** Where a Buffer's bytes are. */
  addressOf: (buffer: Buffer): bigint => koffi.address(buffer),
};

export type Guest = typeof guest;
