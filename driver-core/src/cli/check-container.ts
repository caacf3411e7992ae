// `data-direct check --container PID`: whether the libraries in a container can do data direct. Read from the host, because the images
// of users have nothing of ours in them.
import { CONTAINER_REASONS } from '@data-direct/crds';

import { ElfError } from '../library/elf.ts';
import { NEEDED_VERSION, ProcessError, type RuntimeLibrary, runtimeLibraryOf } from '../library/runtime-library.ts';
import type { Terminal } from './command.ts';
import { EXIT } from './command.ts';

export async function checkContainer(process: string, isJson: boolean, terminal: Terminal): Promise<number> {
  if (!/^[1-9][0-9]{0,8}$/.test(process)) {
    terminal.err(`--container takes the id of a process on this machine, got ${JSON.stringify(process)}`);
    return EXIT.misused;
  }
  const pid = Number(process);
  try {
    return tell(pid, await runtimeLibraryOf(pid), isJson, terminal);
  } catch (error) {
    if (!(error instanceof ProcessError || error instanceof ElfError)) throw error;
    terminal.err(error.message);
    return EXIT.failed;
  }
}

function tell(pid: number, library: RuntimeLibrary | undefined, isJson: boolean, { out, paint }: Terminal): number {
  const isTooOld = library?.knowsDataDirect === false;
  const reason = isTooOld ? ('RuntimeLibraryTooOld' as const) : undefined;
  const message = library ? described(library) : 'no libmlx5.so.1 in LD_LIBRARY_PATH or any usual directory';
  const verdict = library === undefined ? 'SKIP' : isTooOld ? 'FAIL' : 'OK';
  if (isJson)
    out(
      JSON.stringify(
        { format: 'data-direct/check-container/1', ok: !isTooOld, pid, reason, message, library },
        null,
        2,
      ),
    );
  else {
    out(`${paint(COLOURS[verdict], verdict.padEnd(4))}  container ${pid}  ${reason ? `${reason}: ` : ''}${message}`);
    if (reason) out(`      mend: ${CONTAINER_REASONS[reason].mend}`);
  }
  return isTooOld ? EXIT.notReady : EXIT.done;
}

const COLOURS = { OK: 'green', FAIL: 'red', SKIP: 'gray' } as const;

function described({ path, rdmaCore, newest, knowsDataDirect }: RuntimeLibrary): string {
  const of = rdmaCore === undefined ? '' : ` of rdma-core ${rdmaCore}`;
  if (knowsDataDirect) return `${path}${of} has ${NEEDED_VERSION}`;
  return `${path}${of} lacks ${NEEDED_VERSION}, its newest version is ${newest ?? 'none at all'}`;
}
