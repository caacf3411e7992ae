// Commands about the adapter as a whole: bringing it up, what it is, what it can do, its VUID.
import { capabilityBlock } from './capabilities.ts';
import type { CommandRow, Handler } from './firmware.ts';
import {
  adapter,
  queryAdapterOut,
  queryHcaCapIn,
  queryHcaCapOut,
  queryIssiOut,
  queryVuidIn,
  queryVuidOut,
} from './layouts.ts';
import type { CommandName } from './opcodes.ts';
import { CommandFailure } from './status.ts';

const MELLANOX_OUI = 0x0002c9;
/** Shown as board_id in sysfs. */
const BOARD_ID = 'VIRTUAL_CX8';
/** Interface step 1, which every driver of the last years knows. */
const ISSI_1 = 1 << 1;
const VUID_LENGTH = 128;

const restart: Handler = (firmware) => firmware.restart();

const queryIssi: Handler = (_firmware, _input, output) => {
  queryIssiOut.write(output, { current_issi: 0, supported_issi_dw0: ISSI_1 });
};

const queryHcaCap: Handler = ({ capabilities }, input, output) => {
  const type = queryHcaCapIn.get(input, 'op_mod') >> 1;
  capabilityBlock(type, capabilities).copy(queryHcaCapOut.get(output, 'capability'));
};

const queryAdapter: Handler = (_firmware, _input, output) => {
  const block = adapter.encode({
    ieee_vendor_id: MELLANOX_OUI,
    vsd_contd_psid: Buffer.from(BOARD_ID.padEnd(16, '\0')),
  });
  queryAdapterOut.write(output, { query_adapter_struct: block });
};

/** The text is padded with zeros; the drivers compare it with keyword VU of the DMA function's VPD. */
const queryVuid: Handler = (firmware, input, output) => {
  const { data_direct, query_vfs_vuid, vhca_id } = queryVuidIn.read(input);
  if (firmware.capabilities.query_vuid !== 1) throw new CommandFailure('BAD_OP', 'the capability query_vuid is off');
  if (data_direct !== 1 || query_vfs_vuid === 1 || vhca_id !== firmware.identity.vhcaId) {
    throw new CommandFailure('BAD_PARAM', `QUERY_VUID for vhca ${vhca_id} with data_direct ${data_direct}`);
  }
  const vuid = firmware.nextVuid();
  if (vuid === undefined) return;
  queryVuidOut.write(output, { num_of_entries: 1 });
  Buffer.from(vuid, 'latin1').copy(output, queryVuidOut.size, 0, VUID_LENGTH);
};

const ok: Handler = () => {};

export const hcaCommands: Partial<Record<CommandName, CommandRow>> = {
  ENABLE_HCA: { run: restart },
  DISABLE_HCA: { run: restart },
  INIT_HCA: { run: ok },
  TEARDOWN_HCA: { run: ok },
  QUERY_ISSI: { output: queryIssiOut, run: queryIssi },
  SET_ISSI: { run: ok },
  // No page of host memory is ever asked for: all zero.
  QUERY_PAGES: { run: ok },
  QUERY_HCA_CAP: { input: queryHcaCapIn, output: queryHcaCapOut, run: queryHcaCap },
  SET_HCA_CAP: { run: ok },
  QUERY_ADAPTER: { output: queryAdapterOut, run: queryAdapter },
  SET_DRIVER_VERSION: { run: ok },
  QUERY_VUID: { input: queryVuidIn, output: { size: queryVuidOut.size + VUID_LENGTH }, run: queryVuid },
  QUERY_SPECIAL_CONTEXTS: { run: ok },
};
