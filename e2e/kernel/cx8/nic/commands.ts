// The firmware's commands, a row each. A command without a row is refused with BAD_OP and logged by its name.
import { DmaFault } from '../vfio-user/dma-map.ts';
import type { CommandRow, Firmware } from './firmware.ts';
import { hcaCommands } from './hca-commands.ts';
import { commandInput, commandOutput } from './layouts.ts';
import { objectCommands } from './object-commands.ts';
import { type CommandName, commandName } from './opcodes.ts';
import { portCommands } from './port-commands.ts';
import { CommandFailure } from './status.ts';

export const COMMANDS: Partial<Record<CommandName, CommandRow>> = {
  ...hcaCommands,
  ...portCommands,
  ...objectCommands,
};

/** Carries the command out and writes its answer; 'no answer' when a fault keeps it from being given. */
export function runCommand(firmware: Firmware, input: Buffer, output: Buffer): 'answered' | 'no answer' {
  const opcode = commandInput.get(input, 'opcode');
  const name = commandName(opcode);
  const called = name ?? `opcode 0x${opcode.toString(16)}`;
  const fault = name && firmware.faults.commands?.[name];
  if (fault === 'no answer') return fault;
  try {
    if (fault !== undefined) throw new CommandFailure(fault.status, 'a fault was asked for', fault.syndrome);
    const row = name && COMMANDS[name];
    if (row === undefined) throw new CommandFailure('BAD_OP', 'this firmware does not know it');
    refuseShort(row, input, output);
    row.run(firmware, input, output);
  } catch (error) {
    const { status, syndrome, message } = asFailure(error);
    firmware.hardware.log(`${called} refused with status 0x${status.toString(16)}: ${message}`);
    output.fill(0);
    commandOutput.write(output, { status, syndrome });
  }
  return 'answered';
}

function refuseShort(row: CommandRow, input: Buffer, output: Buffer): void {
  const needed = { input: row.input?.size ?? commandInput.size, output: row.output?.size ?? commandOutput.size };
  if (input.length < needed.input) {
    throw new CommandFailure('BAD_INP_LEN', `input of ${input.length} bytes, needs ${needed.input}`);
  }
  if (output.length < needed.output) {
    throw new CommandFailure('BAD_OUTP_LEN', `output of ${output.length} bytes, needs ${needed.output}`);
  }
}

/** What a handler met in what the driver gave it: a page list that is too short, memory that is not there. */
function asFailure(error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error;
  if (error instanceof DmaFault) return new CommandFailure('BAD_PARAM', error.message);
  throw error;
}
