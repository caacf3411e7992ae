// The tables of the virtual ConnectX-8 (e2e/kernel/cx8) as questions for a C compiler: mlx5_ifc.h about firmware commands and contexts, where
// names are ours too; device.h, qp.h, cq.h and doorbell.h about queues, whose structs and constants are named here; driver.h about registers.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { entryLayout, mailboxLayout, PCI_COMMAND } from '../../kernel/cx8/nic/command-queue.ts';
import { CQE, cqe } from '../../kernel/cx8/nic/completion-queue.ts';
import { CQ_ARM, SEND } from '../../kernel/cx8/nic/doorbells.ts';
import { EVENT, eqe, PORT_SUB_TYPE } from '../../kernel/cx8/nic/event-queue.ts';
import { segment } from '../../kernel/cx8/nic/init-segment.ts';
import * as layouts from '../../kernel/cx8/nic/layouts.ts';
import { ACCESS_MODE, UMR_UNIT } from '../../kernel/cx8/nic/memory-key.ts';
import { OPCODES } from '../../kernel/cx8/nic/opcodes.ts';
import { REGISTERS } from '../../kernel/cx8/nic/port-commands.ts';
import {
  OPTIONAL,
  QP_STATE,
  RECEIVE_COUNTER,
  SEND_BLOCK,
  SEND_COUNTER,
  SERVICE,
} from '../../kernel/cx8/nic/queue-pair.ts';
import { STATUS } from '../../kernel/cx8/nic/status.ts';
import { MASK } from '../../kernel/cx8/nic/umr.ts';
import { SYNDROME } from '../../kernel/cx8/nic/work.ts';
import {
  COMPLETION_WANTED,
  controlSegment,
  dataSegment,
  OPCODE,
  remoteSegment,
  umrControlSegment,
} from '../../kernel/cx8/nic/work-request.ts';
import type { Headers } from './compiler.ts';
import { aboutBits, type BitStruct, mlx5Headers } from './firmware.ts';
import type { Question } from './question.ts';

/** Of these the model has the beginning. */
const CUT_SHORT: ReadonlySet<string> = new Set(['cmd_out', 'cmd_hca_cap', 'cmd_hca_cap_2', 'mlx5_init_seg']);
/** Commands that the headers of Linux 6.12 do not have yet. */
const NEWER_THAN_6_12: ReadonlySet<string> = new Set([
  'QUERY_DELEGATED_VHCA',
  'CREATE_ESW_VPORT',
  'DESTROY_ESW_VPORT',
  'PSP_GEN_SPI',
  'PSP_ROTATE_KEY',
]);

/** In the enum these begin with MLX5_CMD_OPCODE, all others with MLX5_CMD_OP. */
const CALLED_OPCODE: ReadonlySet<string> = new Set([
  'QUERY_VUID',
  'QUERY_DELEGATED_VHCA',
  'CREATE_ESW_VPORT',
  'DESTROY_ESW_VPORT',
]);

/** Bits of the byte `flags` of an UMR control segment. */
const UMR_FLAGS = {
  inline: 'MLX5_UMR_INLINE',
  fail_if_free: 'MLX5_UMR_CHECK_FREE',
  fail_if_not_free: 'MLX5_UMR_CHECK_NOT_FREE',
  offset_enabled: 'MLX5_UMR_TRANSLATION_OFFSET_EN',
} as const;

/** `directory` holds linux/mlx5. */
export async function virtualCx8Headers(directory: string): Promise<Headers> {
  const { directories, includes } = mlx5Headers(directory);
  const before = await registerIds(directory);
  return { directories, before, includes: [...includes, 'linux/mlx5/qp.h', 'linux/mlx5/cq.h'] };
}

/** driver.h needs half of the kernel around it; its enum of register ids needs nothing. Without it the compiler misses MLX5_REG_PMTU. */
async function registerIds(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'linux/mlx5/driver.h'), 'utf8');
  return /enum \{[^}]*\bMLX5_REG_PMTU\b[^}]*\};/.exec(text)?.[0] ?? '';
}

export function virtualCx8Questions(newest: boolean): Question[] {
  return [
    ...Object.values<BitStruct>(layouts).flatMap((each) => aboutBits(each, CUT_SHORT)),
    ...structs.flatMap(({ layout, members }) => aboutStruct(layout, members)),
    ...constants(newest).map(([name, ours]) => ({ what: name, expression: name, ours: BigInt(ours) })),
  ];
}

/** The C member that a field of ours is, or of which it is a part; of another struct for the same bytes where one is named. */
interface Member {
  readonly struct?: string;
  readonly member: string;
  readonly isPart: boolean;
}
const whole = (member: string, struct?: string): Member => ({ member, isPart: false, ...(struct && { struct }) });
const part = (member: string): Member => ({ member, isPart: true });

function described<F extends object>(layout: BitStruct & { readonly fields: F }, members: Record<keyof F, Member>) {
  return { layout, members: members as Readonly<Record<string, Member>> };
}

const structs = [
  described(entryLayout, {
    type: whole('type'),
    inlen: whole('inlen'),
    in_ptr: whole('in_ptr'),
    in: whole('in'),
    out: whole('out'),
    out_ptr: whole('out_ptr'),
    outlen: whole('outlen'),
    token: whole('token'),
    status_own: whole('status_own'),
  }),
  described(mailboxLayout, {
    data: whole('data'),
    next: whole('next'),
    block_num: whole('block_num'),
    token: whole('token'),
  }),
  described(segment, {
    fw_rev_minor: part('fw_rev'),
    fw_rev_major: part('fw_rev'),
    cmd_interface_rev: part('cmdif_rev_fw_sub'),
    fw_rev_subminor: part('cmdif_rev_fw_sub'),
    cmdq_phy_addr_63_32: whole('cmdq_addr_h'),
    cmdq_phy_addr_31_0: whole('cmdq_addr_l_sz'),
    log_cmdq_size: part('cmdq_addr_l_sz'),
    log_cmdq_stride: part('cmdq_addr_l_sz'),
    health_fw_ver: whole('health.fw_ver'),
    cmd_exec_to: whole('cmd_exec_to'),
    cmd_q_init_to: whole('cmd_q_init_to'),
    internal_timer_h: whole('internal_timer_h'),
    internal_timer_l: whole('internal_timer_l'),
    health_counter: part('health_counter'),
  }),
  described(eqe, {
    type: whole('type'),
    sub_type: whole('sub_type'),
    data: whole('data.cmd.vector'),
    port: part('data.port.port'),
    cqn: whole('data.comp.cqn'),
  }),
  described(cqe, {
    srqn_uidx: part('srqn'),
    immediate: whole('immediate'),
    byte_cnt: whole('byte_cnt'),
    vendor_syndrome: whole('vendor_err_synd', 'mlx5_err_cqe'),
    syndrome: whole('syndrome', 'mlx5_err_cqe'),
    wqe_opcode: part('sop_drop_qpn'),
    qpn: part('sop_drop_qpn'),
    wqe_counter: whole('wqe_counter'),
    opcode: part('op_own'),
  }),
  described(controlSegment, {
    index: part('opmod_idx_opcode'),
    opcode: part('opmod_idx_opcode'),
    qpn: part('qpn_ds'),
    segments: part('qpn_ds'),
    completion: part('fm_ce_se'),
    immediate: whole('imm'),
  }),
  described(remoteSegment, { address: whole('raddr'), key: whole('rkey') }),
  described(dataSegment, {
    inline: part('byte_count'),
    byte_count: part('byte_count'),
    key: whole('lkey'),
    address: whole('addr'),
  }),
  described(umrControlSegment, {
    inline: part('flags'),
    fail_if_free: part('flags'),
    fail_if_not_free: part('flags'),
    offset_enabled: part('flags'),
    octowords: whole('xlt_octowords'),
    offset: whole('xlt_offset'),
    mask: whole('mkey_mask'),
    offset_high: whole('xlt_offset_47_16'),
  }),
];

function aboutStruct({ name, size, fields }: BitStruct, members: Readonly<Record<string, Member>>): Question[] {
  const about = Object.entries(fields).flatMap(([field, place]) =>
    aboutMember(`${name}.${field}`, place, { struct: name, member: field, isPart: false, ...members[field] }),
  );
  if (CUT_SHORT.has(name)) return about;
  return [{ what: `size of ${name}`, expression: `sizeof(struct ${name})`, ours: BigInt(size) }, ...about];
}

function aboutMember(
  what: string,
  { offset, width }: BitStruct['fields'][string],
  { struct, member, isPart }: Required<Member>,
): Question[] {
  const from = `8 * offsetof(struct ${struct}, ${member})`;
  const size = `8 * sizeof(((struct ${struct} *)0)->${member})`;
  if (isPart) {
    const expression = `${from} <= ${offset} && ${offset + width} <= ${from} + ${size}`;
    return [{ what: `${what} lies in ${member}`, expression, ours: 1n }];
  }
  return [
    { what: `offset of ${what}`, expression: from, ours: BigInt(offset) },
    { what: `width of ${what}`, expression: size, ours: BigInt(width) },
  ];
}

/** C's names of the values of a table: those given, else the table's own name behind the prefix. */
function named(prefix: string, table: object, spelled: Readonly<Record<string, string>> = {}): [string, number][] {
  return Object.entries(table).map(([name, value]) => [`${prefix}${spelled[name] ?? name}`, Number(value)]);
}

function constants(newest: boolean): [name: string, ours: number | bigint][] {
  const commands = Object.entries(OPCODES).filter(([name]) => newest || !NEWER_THAN_6_12.has(name));
  return [
    ...commands.map(([name, opcode]): [string, number] => [
      `${CALLED_OPCODE.has(name) ? 'MLX5_CMD_OPCODE' : 'MLX5_CMD_OP'}_${name}`,
      opcode,
    ]),
    ...named('MLX5_CMD_STAT_', STATUS, {
      ...Object.fromEntries(Object.keys(STATUS).map((name) => [name, `${name}_ERR`])),
      LIMIT: 'LIM_ERR',
    }),
    ...named('MLX5_MKC_ACCESS_MODE_', ACCESS_MODE, { PHYSICAL: 'PA', KLM: 'KLMS' }),
    ...named('MLX5_QPC_STATE_', QP_STATE),
    ...named('MLX5_QPC_ST_', SERVICE, { UMR: 'REG_UMR' }),
    ...named('MLX5_EVENT_TYPE_', EVENT, { COMPLETION: 'COMP', COMMAND: 'CMD' }),
    ...named('MLX5_PORT_CHANGE_SUBTYPE_', PORT_SUB_TYPE),
    ...named('MLX5_OPCODE_', OPCODE, { RDMA_WRITE_IMMEDIATE: 'RDMA_WRITE_IMM', SEND_IMMEDIATE: 'SEND_IMM' }),
    ...named('MLX5_CQE_', CQE, {
      REQUESTER: 'REQ',
      RESPONDER_WRITE_IMMEDIATE: 'RESP_WR_IMM',
      RESPONDER_SEND: 'RESP_SEND',
      RESPONDER_SEND_IMMEDIATE: 'RESP_SEND_IMM',
      REQUESTER_ERROR: 'REQ_ERR',
      RESPONDER_ERROR: 'RESP_ERR',
    }),
    ...named('MLX5_CQE_SYNDROME_', SYNDROME, {
      LOCAL_LENGTH: 'LOCAL_LENGTH_ERR',
      LOCAL_OPERATION: 'LOCAL_QP_OP_ERR',
      LOCAL_PROTECTION: 'LOCAL_PROT_ERR',
      FLUSHED: 'WR_FLUSH_ERR',
      REMOTE_INVALID_REQUEST: 'REMOTE_INVAL_REQ_ERR',
      REMOTE_ACCESS: 'REMOTE_ACCESS_ERR',
      REMOTE_OPERATION: 'REMOTE_OP_ERR',
      RETRIES_EXCEEDED: 'TRANSPORT_RETRY_EXC_ERR',
      RECEIVER_NOT_READY: 'RNR_RETRY_EXC_ERR',
    }),
    ...Object.entries(REGISTERS).map(([id, { name }]): [string, number] => [`MLX5_REG_${name}`, Number(id)]),
    ['MLX5_PCI_CMD_XPORT', PCI_COMMAND],
    ['MLX5_CQ_DOORBELL', CQ_ARM],
    ['MLX5_BF_OFFSET', SEND],
    ['MLX5_RCV_DBR * sizeof(__be32)', RECEIVE_COUNTER],
    ['MLX5_SND_DBR * sizeof(__be32)', SEND_COUNTER],
    ['MLX5_SEND_WQE_BB', SEND_BLOCK],
    ['MLX5_WQE_CTRL_CQ_UPDATE >> 2', COMPLETION_WANTED],
    ['MLX5_UMR_FLEX_ALIGNMENT', UMR_UNIT],
    ...OPTIONAL.map(({ bit, field }): [string, number] => [`MLX5_QP_OPTPAR_${field.toUpperCase()}`, bit]),
    ...MASK.map(({ name, bit }): [string, bigint] => [`MLX5_MKEY_MASK_${name}`, 1n << bit]),
    ...Object.entries(UMR_FLAGS).map(([field, name]): [string, number] => [
      name,
      1 << (7 - umrControlSegment.fields[field as keyof typeof UMR_FLAGS].offset),
    ]),
  ];
}
