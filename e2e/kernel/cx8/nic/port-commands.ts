// Commands about the port: its state, addresses and registers. One InfiniBand port of two lanes HDR, as the stock drivers show it.
import type { CommandRow, Handler } from './firmware.ts';
import { portGid } from './identity.ts';
import {
  accessRegisterIn,
  accessRegisterOut,
  dtorReg,
  hcaVportContext,
  pmtuReg,
  ptysReg,
  pvlcReg,
  queryHcaVportContextOut,
  queryHcaVportGidIn,
  queryHcaVportGidOut,
  queryHcaVportPkeyOut,
} from './layouts.ts';
import type { CommandName } from './opcodes.ts';
import { CommandFailure } from './status.ts';

/** InfiniBand port states (include/rdma/ib_verbs.h). */
const PORT = {
  up: { vport_state: 4, port_physical_state: 5 },
  down: { vport_state: 1, port_physical_state: 2 },
} as const;
/** IB_PORT_CAP_MASK as a ConnectX with a subnet manager on its fabric shows it. */
const CAPABILITY_MASK = 0x2651_e848;
const SUBNET_MANAGER_LID = 1;
const SUBNET_TIMEOUT = 18;
const DEFAULT_PKEY = 0xffff;

const queryVportContext: Handler = ({ identity, faults }, _input, output) => {
  const { guid, lid } = identity;
  const context = hcaVportContext.encode({
    ...PORT[faults.port ?? 'up'],
    system_image_guid: guid,
    port_guid: guid,
    node_guid: guid,
    cap_mask1: CAPABILITY_MASK,
    lid,
    subnet_timeout: SUBNET_TIMEOUT,
    sm_lid: SUBNET_MANAGER_LID,
  });
  queryHcaVportContextOut.write(output, { hca_vport_context: context });
};

/** Index 0 is the port's; a driver that asks for the whole table gets as many entries as its answer has room for. */
const queryVportGid: Handler = ({ identity }, input, output) => {
  const index = queryHcaVportGidIn.get(input, 'gid_index');
  queryHcaVportGidOut.write(output, { gids_num: 1 });
  if (index === 0 || index === 0xffff) portGid(identity).copy(output, queryHcaVportGidOut.size);
};

const queryVportPkey: Handler = (_firmware, _input, output) => {
  output.writeUInt16BE(DEFAULT_PKEY, queryHcaVportPkeyOut.size + 2);
};

interface Register {
  readonly name: string;
  /** What reading it gives; all zero if there is nothing. */
  readonly value?: Buffer;
}

const LANES = 2;
const HDR = 0x40;
const MTU = 4096;
const VIRTUAL_LANES = 4;
const seconds = (count: number): number => (1 << 29) | count;

/** Registers that the drivers read or write (MLX5_REG_* of include/linux/mlx5/driver.h). What is written is not kept. */
export const REGISTERS: Readonly<Record<number, Register>> = {
  0x5003: { name: 'PMTU', value: pmtuReg.encode({ max_mtu: MTU, admin_mtu: MTU, oper_mtu: MTU }) },
  0x5004: {
    name: 'PTYS',
    value: ptysReg.encode({
      ib_link_width_capability: LANES,
      ib_proto_capability: HDR,
      ib_link_width_oper: LANES,
      ib_proto_oper: HDR,
    }),
  },
  0x500f: {
    name: 'PVLC',
    value: pvlcReg.encode({ vl_hw_cap: VIRTUAL_LANES, vl_admin: VIRTUAL_LANES, vl_operational: VIRTUAL_LANES }),
  },
  0x6001: { name: 'NODE_DESC' },
  0x7004: { name: 'HOST_ENDIANNESS' },
  // The driver's own defaults; it asks where the initialization segment says that the firmware has timeouts of its own.
  0xc00e: {
    name: 'DTOR',
    value: dtorReg.encode({
      pcie_toggle_to: seconds(2),
      health_poll_to: seconds(2),
      full_crdump_to: seconds(60),
      fw_reset_to: seconds(60),
      flush_on_err_to: seconds(2),
      pci_sync_update_to: seconds(5),
      tear_down_to: seconds(3),
      fsm_reactivate_to: seconds(5),
      reclaim_pages_to: seconds(5),
      reclaim_vfs_pages_to: seconds(120),
    }),
  },
};

const accessRegister: Handler = (_firmware, input, output) => {
  const id = accessRegisterIn.get(input, 'register_id');
  const register = REGISTERS[id];
  if (register === undefined) throw new CommandFailure('BAD_PARAM', `register 0x${id.toString(16)} is not emulated`);
  register.value?.copy(output, accessRegisterOut.size);
};

export const portCommands: Partial<Record<CommandName, CommandRow>> = {
  QUERY_HCA_VPORT_CONTEXT: { output: queryHcaVportContextOut, run: queryVportContext },
  MODIFY_HCA_VPORT_CONTEXT: { run: () => {} },
  QUERY_HCA_VPORT_GID: {
    input: queryHcaVportGidIn,
    output: { size: queryHcaVportGidOut.size + 16 },
    run: queryVportGid,
  },
  QUERY_HCA_VPORT_PKEY: { output: { size: queryHcaVportPkeyOut.size + 4 }, run: queryVportPkey },
  ACCESS_REG: { input: accessRegisterIn, output: accessRegisterOut, run: accessRegister },
  // Management datagrams go nowhere: an answer of zeros.
  MAD_IFC: { run: () => {} },
};
