// Commands that make, change and end things: queues, queue pairs, memory keys, and the many that are no more than a number here.
import { OWN_CAPABILITIES } from './capabilities.ts';
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
  qpc,
  queryQpOut,
} from './layouts.ts';
import { MemoryKey } from './memory-key.ts';
import type { CommandName } from './opcodes.ts';
import { QP_STATE, QueuePair, type TransitionName, TRANSITIONS } from './queue-pair.ts';
import { existing, mustHaveRoom, takeOut } from './resources.ts';
import { CommandFailure } from './status.ts';

const ok: Handler = () => {};
const numberOf = (input: Buffer): number => numberedIn.get(input, 'pd');
const answerNumber = (output: Buffer, number: number): void => numberedOut.write(output, { pd: number });

const { log_max_cq: LOG_MOST_CQS, log_max_qp: LOG_MOST_QPS, log_max_mkey: LOG_MOST_KEYS } = OWN_CAPABILITIES;
/** The number of nothing. */
const NONE = 0;
/** log_max_pd, log_max_xrcd and their like. */
const LOG_MOST_BARE = 16;

/** Things that are no more than a number here, which for some has 8 or 16 bits: a row that makes one and a row that ends it. */
function bare(what: string, bits = 24): { made: CommandRow; ended: CommandRow } {
  const numbersIn = ({ resources: { numbers } }: Firmware): Set<number> => {
    const found = numbers.get(what) ?? new Set();
    numbers.set(what, found);
    return found;
  };
  const make: Handler = (firmware, _input, output) => {
    const taken = numbersIn(firmware);
    mustHaveRoom(taken, what, Math.min(bits, LOG_MOST_BARE));
    let number = firmware.resources.nextNumber();
    if (number >= 2 ** bits) for (number = 1; taken.has(number);) number += 1;
    taken.add(number);
    answerNumber(output, number);
  };
  const end: Handler = (firmware, input) => {
    const number = numberOf(input);
    if (!numbersIn(firmware).delete(number)) throw new CommandFailure('BAD_RES', `there is no ${what} ${number}`);
  };
  return { made: { output: numberedOut, run: make }, ended: { input: numberedIn, run: end } };
}

const protectionDomain = bare('protection domain');
const xrcDomain = bare('XRC domain');
const transportDomain = bare('transport domain');
const userContext = bare('user context', 16);
const counterSet = bare('counter set', 8);
// The kernel makes shared receive queues for itself and never posts to them; receiving through one is not emulated.
const xrcReceiveQueue = bare('XRC shared receive queue');
const sharedReceiveQueue = bare('shared receive queue');

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

const deallocUar: Handler = ({ resources }, input) => {
  const uar = numberOf(input);
  if (!resources.uars.delete(uar)) throw new CommandFailure('BAD_RES', `there is no UAR page ${uar}`);
};

/** An EQ has an 8-bit number. */
const createEq: Handler = ({ resources, hardware }, input, output) => {
  const taken = resources.eqs;
  let eqn = 1;
  while (taken.has(eqn)) eqn += 1;
  if (eqn > 0xff) throw new CommandFailure('NO_RES', 'all 255 event queues are in use');
  taken.set(eqn, new EventQueue(hardware, eqn, input));
  answerNumber(output, eqn);
};

const destroyEq: Handler = ({ resources }, input) => void takeOut(resources.eqs, 'event queue', numberOf(input) & 0xff);

const createCq: Handler = ({ resources, hardware }, input, output) => {
  const eqn = cqc.get(createCqIn.get(input, 'cq_context'), 'c_eqn_or_apu_element');
  const events = existing(resources.eqs, 'event queue', eqn);
  mustHaveRoom(resources.cqs, 'completion queue', LOG_MOST_CQS);
  const cqn = resources.nextNumber();
  const onOverrun = (): void => resources.tell({ type: EVENT.CQ_ERROR, data: cqn });
  resources.cqs.set(cqn, new CompletionQueue(hardware, cqn, input, events, onOverrun));
  answerNumber(output, cqn);
};

const destroyCq: Handler = ({ resources }, input) => void takeOut(resources.cqs, 'completion queue', numberOf(input));

const createQp: Handler = ({ resources, hardware }, input, output) => {
  mustHaveRoom(resources.qps, 'queue pair', LOG_MOST_QPS);
  const { cqn_snd, cqn_rcv } = qpc.read(createQpIn.get(input, 'qpc'));
  for (const cqn of [cqn_snd, cqn_rcv]) if (cqn !== NONE) existing(resources.cqs, 'completion queue', cqn);
  const qpn = resources.nextNumber();
  resources.qps.set(qpn, new QueuePair(hardware, qpn, input));
  answerNumber(output, qpn);
};

const destroyQp: Handler = ({ resources }, input) => void takeOut(resources.qps, 'queue pair', numberOf(input));

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
  mustHaveRoom(resources.mkeys, 'memory key', LOG_MOST_KEYS);
  const index = resources.nextNumber();
  resources.mkeys.set(index, new MemoryKey(index, input, resources.lists));
  answerNumber(output, index);
};

const destroyMkey: Handler = ({ resources }, input) =>
  takeOut(resources.mkeys, 'memory key', numberOf(input)).release();

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

  ALLOC_PD: protectionDomain.made,
  DEALLOC_PD: protectionDomain.ended,
  ALLOC_XRCD: xrcDomain.made,
  DEALLOC_XRCD: xrcDomain.ended,
  ALLOC_TRANSPORT_DOMAIN: transportDomain.made,
  DEALLOC_TRANSPORT_DOMAIN: transportDomain.ended,
  CREATE_UCTX: userContext.made,
  DESTROY_UCTX: userContext.ended,
  ALLOC_Q_COUNTER: counterSet.made,
  DEALLOC_Q_COUNTER: counterSet.ended,
  QUERY_Q_COUNTER: { run: ok },
  CREATE_XRC_SRQ: xrcReceiveQueue.made,
  DESTROY_XRC_SRQ: xrcReceiveQueue.ended,
  CREATE_RMP: sharedReceiveQueue.made,
  DESTROY_RMP: sharedReceiveQueue.ended,
};
