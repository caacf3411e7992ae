// Makes a software RDMA device, as `rdma link add` does: one message to the kernel's RDMA netlink family
// (drivers/infiniband/core/nldev.c).

import { closeSync } from 'node:fs';
import { struct, u16, u32 } from '../../../driver-core/src/verbs/struct.ts';
import { libc } from './libc.ts';

/** include/uapi/linux/netlink.h. */
const sockaddr_nl = struct('sockaddr_nl', { nl_family: u16, nl_pad: u16, nl_pid: u32, nl_groups: u32 });
const nlmsghdr = struct('nlmsghdr', {
  nlmsg_len: u32,
  nlmsg_type: u16,
  nlmsg_flags: u16,
  nlmsg_seq: u32,
  nlmsg_pid: u32,
});
const nlattr = struct('nlattr', { nla_len: u16, nla_type: u16 });
const AF_NETLINK = 16;
const NETLINK_RDMA = 20;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NLM_F_REQUEST_ACK = 1 | 4;

/** include/uapi/rdma/rdma_netlink.h: (RDMA_NL_NLDEV << 10) | RDMA_NLDEV_CMD_NEWLINK, and the attributes it takes. */
const NEWLINK = (5 << 10) | 3;
const RDMA_NLDEV_ATTR_DEV_NAME = 2;
const RDMA_NLDEV_ATTR_NDEV_NAME = 51;
const RDMA_NLDEV_ATTR_LINK_TYPE = 65;

/** The kernel loads rdma_rxe by itself. Throws with the errno where it refuses. */
export function addRxeLink(name: string, netdev: string): void {
  const attributes = Buffer.concat([
    attribute(RDMA_NLDEV_ATTR_DEV_NAME, name),
    attribute(RDMA_NLDEV_ATTR_LINK_TYPE, 'rxe'),
    attribute(RDMA_NLDEV_ATTR_NDEV_NAME, netdev),
  ]);
  const header = { nlmsg_len: nlmsghdr.size + attributes.length, nlmsg_type: NEWLINK, nlmsg_flags: NLM_F_REQUEST_ACK };
  const errno = exchange(Buffer.concat([nlmsghdr.encode(header), attributes]));
  if (errno !== 0) throw new Error(`RDMA netlink refused the link ${name} on ${netdev}: errno ${-errno}`);
}

/** Text with its NUL, padded to four bytes. */
function attribute(type: number, text: string): Buffer {
  const payload = Buffer.from(`${text}\0`);
  const padded = Buffer.alloc(Math.ceil(payload.length / 4) * 4);
  payload.copy(padded);
  return Buffer.concat([nlattr.encode({ nla_len: nlattr.size + payload.length, nla_type: type }), padded]);
}

/** struct nlmsgerr: the error follows the header of the answer; 0 is the acknowledgement. */
function exchange(message: Buffer): number {
  const socket = libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_RDMA);
  try {
    const kernel = sockaddr_nl.encode({ nl_family: AF_NETLINK });
    libc.sendto(socket, message, message.length, 0, kernel, kernel.length);
    const answer = Buffer.alloc(4096);
    libc.recv(socket, answer, answer.length, 0);
    return answer.readInt32LE(nlmsghdr.size);
  } finally {
    closeSync(socket);
  }
}
