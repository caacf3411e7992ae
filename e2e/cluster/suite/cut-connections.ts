// Breaks the connections that others have to a process's unix socket, without a word to either side and without ending anybody.
import { readdir, readFile, readlink } from 'node:fs/promises';

import koffi from 'koffi';

/** SHUT_RDWR (include/linux/net.h) */
const BOTH_WAYS = 2;
/** SS_CONNECTED as /proc/net/unix shows it */
const CONNECTED = '03';

/** Those that `client` has to sockets of `server` whose path begins so; both are process ids. Says how many there were. */
export async function cutConnections(client: number, server: number, pathPrefix: string): Promise<number> {
  const inodes = await accepted(client, pathPrefix);
  const held = await descriptors(server);
  const theirs = held.filter(({ target }) => inodes.has(target));
  for (const { fd } of theirs) shutDown(server, fd);
  return theirs.length;
}

/**
 * What was accepted has the path of the socket that accepted it, and is of the network namespace of who connected (net/unix/af_unix.c,
 * unix_stream_connect); its other end has no path.
 */
async function accepted(client: number, pathPrefix: string): Promise<ReadonlySet<string>> {
  const rows = (await readFile(`/proc/${client}/net/unix`, 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  const theirs = rows.filter(([, , , , , state, , path]) => state === CONNECTED && path?.startsWith(pathPrefix));
  return new Set(theirs.map(([, , , , , , inode]) => `socket:[${inode}]`));
}

async function descriptors(pid: number): Promise<{ fd: number; target: string }[]> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory);
  return Promise.all(
    names.map(async (name) => ({ fd: Number(name), target: await readlink(`${directory}/${name}`).catch(() => '') })),
  );
}

/** By a copy of the descriptor (man 2 pidfd_getfd): both are one socket. */
function shutDown(pid: number, fd: number): void {
  const libc = koffi.load(null);
  const call = (prototype: string, ...values: number[]): number => {
    const answer = (libc.func(prototype) as (...values: number[]) => number)(...values);
    if (answer < 0) throw new Error(`${prototype} answered errno ${koffi.errno()}`);
    return answer;
  };
  const process = call('int pidfd_open(int pid, unsigned int flags)', pid, 0);
  try {
    const copy = call('int pidfd_getfd(int pidfd, int fd, unsigned int flags)', process, fd, 0);
    call('int shutdown(int fd, int how)', copy, BOTH_WAYS);
    call('int close(int fd)', copy);
  } finally {
    call('int close(int fd)', process);
  }
}
