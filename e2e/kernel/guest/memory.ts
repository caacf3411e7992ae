// Memory that both this process and a device see.

import { closeSync } from 'node:fs';
import koffi from 'koffi';
import type { Host } from '../../../driver-core/src/host/host.ts';
import { refused } from '../../../driver-core/src/host/host.ts';
import { map } from './libc.ts';

/** include/uapi/asm-generic/mman-common.h. */
const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 1;
const MAP_SHARED_ANONYMOUS = MAP_SHARED | 0x20;

export interface Memory {
  readonly address: bigint;
  readonly bytes: Buffer;
}

export interface DmabufMemory extends Memory {
  readonly fd: number;
  close(): void;
}

/** For an ordinary memory region. It stays until the process ends. */
export function pages(length: number): Memory {
  return mapped(-1, length, MAP_SHARED_ANONYMOUS);
}

/** Ordinary memory as a DMABUF. */
export async function dmabufMemory(host: Host, length: number): Promise<DmabufMemory> {
  const dmabuf = await host.dmabuf(length);
  if (refused(dmabuf)) throw new Error(`no DMABUF: ${dmabuf.code}`);
  return { ...mapped(dmabuf.fd, length, MAP_SHARED), fd: dmabuf.fd, close: () => closeSync(dmabuf.fd) };
}

function mapped(fd: number, length: number, flags: number): Memory {
  const address = map(length, PROT_READ_WRITE, flags, fd);
  return { address, bytes: Buffer.from(koffi.view(address, length)) };
}
