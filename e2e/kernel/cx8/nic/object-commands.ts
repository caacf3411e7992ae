// Commands that make, change and end things: queues, queue pairs, memory keys, and the many that are no more than a number here.
import { CompletionQueue } from './completion-queue.ts';
import { EVENT, EventQueue } from './event-queue.ts';
import type { CommandRow, Firmware, Handler } from './firmware.ts';
import {
  cqc,
  createCqIn,
  createEqIn,
  createMkeyIn,
  createQpIn,
  modifyQpIn,
  numberedIn,
  numberedOut,
  queryQpOut,
} from './layouts.ts';
import { MemoryKey } from './memory-key.ts';
import type { CommandName } from './opcodes.ts';
import { QP_STATE, QueuePair, type TransitionName, TRANSITIONS } from './queue-pair.ts';
import { existing } from './resources.ts';
import { CommandFailure } from './status.ts';

const ok: Handler = () => {};
const numberOf = (input: Buffer): number => numberedIn.get(input, 'pd');
const answerNumber = (output: Buffer, number: number): void => numberedOut.write(output, { pd: number });

const number: CommandRow = {
  output: numberedOut,
  run: ({ resources }, _input, output) => answerNumber(output, resources.nextNumber()),
};
const freed: CommandRow = { input: numberedIn, run: ok };

/** User access regions lie behind the initialization segment and before the MSI-X table (doorbells.ts). */
const FIRST_UAR = 0x10;
const LAST_UAR = 0xfff;

const allocUar: Handler = ({ resources: { uars } }, _input, output) => {
  let uar = FIRST_UAR;
  while (uars.has(uar)) uar += 1;
  if (uar > LAST_UAR) throw new CommandFailure('NO_RES', 'all UAR pages are in use');
  uars.add(uar);
  answerNumber(output, uar);
};

const deallocUar: Handler = ({ resources }, input) => void resources.uars.delete(numberOf(input));

/** An EQ has an 8-bit number. */
const createEq: Handler = ({ resources, hardware }, input, output) => {
  const taken = resources.eqs;
  let eqn = 1;
  while (taken.has(eqn)) eqn += 1;
  if (eqn > 0xff) throw new CommandFailure('NO_RES', 'all 255 event queues are in use');
  taken.set(eqn, new EventQueue(hardware, eqn, input));
  answerNumber(output, eqn);
};

const destroyEq: Handler = ({ resources }, input) => void resources.eqs.delete(numberOf(input) & 0xff);

const createCq: Handler = ({ resources, hardware }, input, output) => {
  const eqn = cqc.get(createCqIn.get(input, 'cq_context'), 'c_eqn_or_apu_element');
  const events = existing(resources.eqs, 'event queue', eqn);
  const cqn = resources.nextNumber();
  const onOverrun = (): void => resources.tell({ type: EVENT.CQ_ERROR, data: cqn });
  resources.cqs.set(cqn, new CompletionQueue(hardware, cqn, input, events, onOverrun));
  answerNumber(output, cqn);
};

const destroyCq: Handler = ({ resources }, input) => void resources.cqs.delete(numberOf(input));

const createQp: Handler = ({ resources, hardware }, input, output) => {
  const qpn = resources.nextNumber();
  resources.qps.set(qpn, new QueuePair(hardware, qpn, input));
  answerNumber(output, qpn);
};

const destroyQp: Handler = ({ resources }, input) => void resources.qps.delete(numberOf(input));

const queryQp: Handler = ({ resources }, input, output) => {
  const qp = existing(resources.qps, 'queue pair', numberOf(input));
  queryQpOut.write(output, { qpc: qp.contextBytes });
};

function transition(name: TransitionName): CommandRow {
  const run = ({ resources, work }: Firmware, input: Buffer): void => {
    const qp = existing(resources.qps, 'queue pair', numberOf(input));
    qp.modify(name, input);
    if (qp.state === QP_STATE.ERR) work.run(qp);
  };
  const takesContext = TRANSITIONS[name].takes.length > 0;
  return { input: takesContext ? modifyQpIn : numberedIn, run };
}

const createMkey: Handler = ({ resources }, input, output) => {
  const index = resources.nextNumber();
  resources.mkeys.set(index, new MemoryKey(index, input));
  answerNumber(output, index);
};

const destroyMkey: Handler = ({ resources }, input) => void resources.mkeys.delete(numberOf(input));

export const objectCommands: Partial<Record<CommandName, CommandRow>> = {
  ALLOC_UAR: { output: numberedOut, run: allocUar },
  DEALLOC_UAR: { input: numberedIn, run: deallocUar },
  CREATE_EQ: { input: createEqIn, output: numberedOut, run: createEq },
  DESTROY_EQ: { input: numberedIn, run: destroyEq },
  CREATE_CQ: { input: createCqIn, output: numberedOut, run: createCq },
  DESTROY_CQ: { input: numberedIn, run: destroyCq },
  MODIFY_CQ: { run: ok },
  CREATE_QP: { input: createQpIn, output: numberedOut, run: createQp },
  DESTROY_QP: { input: numberedIn, run: destroyQp },
  QUERY_QP: { input: numberedIn, output: queryQpOut, run: queryQp },
  ...Object.fromEntries((Object.keys(TRANSITIONS) as TransitionName[]).map((name) => [name, transition(name)])),
  CREATE_MKEY: { input: createMkeyIn, output: numberedOut, run: createMkey },
  DESTROY_MKEY: { input: numberedIn, run: destroyMkey },

  ALLOC_PD: number,
  DEALLOC_PD: freed,
  ALLOC_XRCD: number,
  DEALLOC_XRCD: freed,
  ALLOC_TRANSPORT_DOMAIN: number,
  DEALLOC_TRANSPORT_DOMAIN: freed,
  CREATE_UCTX: number,
  DESTROY_UCTX: freed,
  ALLOC_Q_COUNTER: number,
  DEALLOC_Q_COUNTER: freed,
  QUERY_Q_COUNTER: { run: ok },
  // The kernel makes shared receive queues for itself and never posts to them; receiving through one is not emulated.
  CREATE_XRC_SRQ: number,
  DESTROY_XRC_SRQ: freed,
  CREATE_RMP: number,
  DESTROY_RMP: freed,
};
