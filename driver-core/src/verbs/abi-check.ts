// The raw sequence of requests that data direct is made of, on any uverbs device, errno by errno against what the kernel's sources say. Of a device
// that is not mlx5 it shows that the common part of the ABI is spoken right; every request is harmless, and what is made is undone.
import type { Answer, Device, Dmabuf, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import type { Attribute, Method, Reply } from './request.ts';
import { call, handle, input, input32, input64, newHandle, output } from './request.ts';

/** What kind of device answers, as far as the answers differ. */
type Kind = 'mlx5, paired' | 'mlx5, not paired' | 'mlx5 before data direct' | 'without DMABUFs';

/** `ok` or an errno. One for all kinds, or one for each; a kind that is missing has no right answer. */
type Expected = string | Readonly<Partial<Record<Kind, string>>>;

interface Session {
  readonly device: Device;
  readonly driver: number;
  readonly pageSize: number;
  readonly dmabuf: Answer<Dmabuf>;
  /** Handles of what was made on the way. */
  pd?: number;
  region?: number;
}

interface Step {
  readonly name: string;
  /** Undefined: cannot be asked here. */
  readonly ask: (session: Session) => Promise<Answer<unknown>> | undefined;
  readonly expected: Expected;
}

export interface AbiAnswer {
  readonly step: string;
  /** `ok`, the errno by name, or `not asked`. */
  readonly answer: string;
  /** Undefined: there is no right answer for this kind of device. */
  readonly expected: string | undefined;
  readonly verdict: 'right' | 'wrong' | 'not compared';
}

export interface AbiReport {
  /** By name, such as mlx5 or rxe; undefined where no known driver answers. */
  readonly driver: string | undefined;
  /** Undefined: only what is the same for all kinds was compared. */
  readonly kind: Kind | undefined;
  readonly answers: readonly AbiAnswer[];
}

/** enum rdma_driver_id, by number — include/uapi/rdma/ib_user_ioctl_verbs.h. */
const RDMA_DRIVERS: readonly string[] = [
  'unknown',
  'mlx5',
  'mlx4',
  'cxgb3',
  'cxgb4',
  'mthca',
  'bnxt_re',
  'ocrdma',
  'nes',
  'irdma',
  'vmw_pvrdma',
  'qedr',
  'hns',
  'usnic',
  'rxe',
  'hfi1',
  'qib',
  'efa',
  'siw',
  'erdma',
  'mana',
  'ionic',
];

const PATH = 'data direct path';
const CONTEXT = 'context';

const onDevice = (method: number): Method => ({ object: abi.UVERBS_OBJECT_DEVICE, method });
const onRegion = (method: number): Method => ({ object: abi.UVERBS_OBJECT_MR, method });
const GET_CONTEXT = onDevice(abi.UVERBS_METHOD_GET_CONTEXT);
const GET_PATH = onDevice(abi.MLX5_IB_METHOD_GET_DATA_DIRECT_SYSFS_PATH);
const INVOKE_WRITE = onDevice(abi.UVERBS_METHOD_INVOKE_WRITE);
const PD_DESTROY: Method = { object: abi.UVERBS_OBJECT_PD, method: abi.UVERBS_METHOD_PD_DESTROY };
const MR_DESTROY = onRegion(abi.UVERBS_METHOD_MR_DESTROY);
const REG_DMABUF_MR = onRegion(abi.UVERBS_METHOD_REG_DMABUF_MR);
/** Ids of the core's namespace that nothing has. */
const NOBODYS_OBJECT: Method = { object: 0xfff, method: 0 };
const NOBODYS_METHOD = onDevice(0xfff);
const NOBODYS_ATTRIBUTE = 0xfff;

const EPROTONOSUPPORT = 'EPROTONOSUPPORT';
/** Of requests that only mlx5 since Linux 6.12 knows. */
const unlessDataDirect = (paired: string, notPaired: string): Expected => ({
  'mlx5, paired': paired,
  'mlx5, not paired': notPaired,
  'mlx5 before data direct': EPROTONOSUPPORT,
  'without DMABUFs': EPROTONOSUPPORT,
});
/** Of registrations that any mlx5 knows. */
const ofAnyMlx5 = (answer: string): Expected => ({
  'mlx5, paired': answer,
  'mlx5, not paired': answer,
  'mlx5 before data direct': answer,
  'without DMABUFs': 'EOPNOTSUPP',
});

/**
 * In the order in which they are asked. Sources: drivers/infiniband/core/{uverbs_ioctl,uverbs_cmd,uverbs_std_types_mr,rdma_core}.c,
 * drivers/infiniband/hw/mlx5/{std_types,mr}.c.
 */
const STEPS: readonly Step[] = [
  {
    name: 'another ioctl',
    ask: ({ device }) => device.ioctl(abi.RDMA_VERBS_IOCTL + 1, Buffer.alloc(abi.ib_uverbs_ioctl_hdr.size), []),
    expected: 'ENOTTY',
  },
  { name: 'header of a wrong length', ask: (session) => header(session, { length: 23 }), expected: 'EINVAL' },
  {
    name: 'header with a reserved field',
    ask: (session) => header(session, { reserved2: 1 }),
    expected: EPROTONOSUPPORT,
  },
  {
    name: 'request for another driver',
    ask: ({ device, driver }) => call(device, GET_CONTEXT, [], driver + 1),
    expected: 'EINVAL',
  },
  { name: 'unknown object', ask: (session) => ask(session, NOBODYS_OBJECT, []), expected: EPROTONOSUPPORT },
  { name: 'unknown method', ask: (session) => ask(session, NOBODYS_METHOD, []), expected: EPROTONOSUPPORT },
  {
    name: 'data direct path before the context',
    ask: (session) => path(session, abi.PATH_MAX),
    expected: unlessDataDirect('EINVAL', 'EINVAL'),
  },
  { name: 'protection domain before the context', ask: (session) => allocPd(session), expected: 'EINVAL' },
  { name: CONTEXT, ask: (session) => ask(session, GET_CONTEXT, contextAttributes()), expected: 'ok' },
  { name: 'context again', ask: (session) => ask(session, GET_CONTEXT, contextAttributes()), expected: 'EINVAL' },
  { name: PATH, ask: (session) => path(session, abi.PATH_MAX), expected: unlessDataDirect('ok', 'ENODEV') },
  {
    name: 'data direct path into five bytes',
    ask: (session) => path(session, 5),
    expected: unlessDataDirect('ENOSPC', 'ENODEV'),
  },
  {
    name: 'protection domain without input',
    ask: (session) => ask(session, INVOKE_WRITE, PD_WITHOUT_INPUT),
    expected: 'ENOSPC',
  },
  {
    name: 'unknown attribute, mandatory',
    ask: (session) => allocPd(session, [input32(NOBODYS_ATTRIBUTE, 0)]),
    expected: EPROTONOSUPPORT,
  },
  {
    name: 'unknown attribute, optional',
    ask: (session) => allocPd(session, [{ ...input32(NOBODYS_ATTRIBUTE, 0), optional: true }]),
    expected: 'ok',
  },
  { name: 'registration of no file', ask: (session) => register(session, {}), expected: ofAnyMlx5('EBADF') },
  {
    name: 'registration with remote write alone',
    ask: (session) => register(session, { access: abi.IB_UVERBS_ACCESS_REMOTE_WRITE }),
    expected: ofAnyMlx5('EINVAL'),
  },
  {
    name: 'registration at another place within the page',
    ask: (session) => register(session, { offset: 8 }),
    expected: ofAnyMlx5('EINVAL'),
  },
  {
    name: 'data direct registration of no file',
    ask: (session) => register(session, { flags: 1 }),
    expected: unlessDataDirect('EBADF', 'EINVAL'),
  },
  {
    name: 'data direct registration of no file, flag optional',
    ask: (session) => register(session, { flags: 1, optional: true }),
    expected: {
      'mlx5, paired': 'EBADF',
      'mlx5, not paired': 'EINVAL',
      'mlx5 before data direct': 'EBADF',
      'without DMABUFs': 'EOPNOTSUPP',
    },
  },
  {
    name: 'data direct registration at half a page',
    ask: (session) => register(session, { flags: 1, offset: session.pageSize / 2, iova: session.pageSize / 2 }),
    expected: unlessDataDirect('EOPNOTSUPP', 'EOPNOTSUPP'),
  },
  {
    name: 'registration with a flag that mlx5 does not have',
    ask: (session) => register(session, { flags: 1 << 31 }),
    expected: unlessDataDirect('EINVAL', 'EINVAL'),
  },
  {
    name: 'data direct registration beyond the end of a DMABUF',
    ask: (session) => registerBuffer(session, 2),
    expected: unlessDataDirect('EINVAL', 'EINVAL'),
  },
  {
    name: 'data direct registration of a DMABUF',
    ask: (session) => registerBuffer(session, 1),
    expected: unlessDataDirect('ok', 'EINVAL'),
  },
  {
    name: 'end of the region',
    ask: (session) => end(session, MR_DESTROY, session.region),
    expected: { 'mlx5, paired': 'ok' },
  },
  {
    name: 'end of a region that is a protection domain',
    ask: (session) => end(session, MR_DESTROY, session.pd),
    expected: 'EINVAL',
  },
  { name: 'end of a region that is not there', ask: (session) => end(session, MR_DESTROY, 0xffff), expected: 'ENOENT' },
  { name: 'end of the protection domain', ask: (session) => end(session, PD_DESTROY, session.pd), expected: 'ok' },
  {
    name: 'end of the protection domain again',
    ask: (session) => end(session, PD_DESTROY, session.pd),
    expected: 'ENOENT',
  },
];

/** `uverbs` such as uverbs0; blocked calls are charged to `charged`. The errno where the node cannot even be opened. */
export async function checkAbi(host: Host, uverbs: string, charged: string): Promise<Answer<AbiReport>> {
  const device = await host.openDevice(`/dev/infiniband/${uverbs}`, charged);
  if (refused(device)) return device;
  const dmabuf = await host.dmabuf(host.pageSize);
  try {
    const driver = await driverOf(device);
    if (driver === undefined) return { driver, kind: undefined, answers: [] };
    return await interview({ device, driver, pageSize: host.pageSize, dmabuf });
  } finally {
    if (!refused(dmabuf)) await dmabuf.close();
    await device.close();
  }
}

/** The kernel looks at the driver's id before it looks for the method, so that only the right one gets as far as "no such method". */
async function driverOf(device: Device): Promise<number | undefined> {
  for (const driver of RDMA_DRIVERS.keys()) {
    const answer = await call(device, NOBODYS_METHOD, [], driver);
    if (refused(answer) && answer.code === EPROTONOSUPPORT) return driver;
  }
  return undefined;
}

async function interview(session: Session): Promise<AbiReport> {
  const answers = new Map<string, string>();
  for (const { name, ask: request } of STEPS) {
    const answer = await request(session);
    answers.set(name, answer === undefined ? NOT_ASKED : refused(answer) ? answer.code : 'ok');
  }
  const driver = RDMA_DRIVERS[session.driver];
  const kind = kindOf(driver, answers);
  return { driver, kind, answers: STEPS.map((step) => judged(step, kind, answers)) };
}

const NOT_ASKED = 'not asked';

const MLX5_KINDS: Readonly<Record<string, Kind>> = {
  ok: 'mlx5, paired',
  ENODEV: 'mlx5, not paired',
  EPROTONOSUPPORT: 'mlx5 before data direct',
};

/** Whether a NIC is paired, only the kernel can say; then everything else has to fit that. */
function kindOf(driver: string | undefined, answers: ReadonlyMap<string, string>): Kind | undefined {
  if (driver === 'mlx5') return MLX5_KINDS[answers.get(PATH) ?? ''];
  return driver === 'rxe' || driver === 'siw' ? 'without DMABUFs' : undefined;
}

/** Other drivers want a context of their own making; without one nothing that follows tells anything. */
function judged(step: Step, kind: Kind | undefined, answers: ReadonlyMap<string, string>): AbiAnswer {
  const { name } = step;
  const answer = answers.get(name) ?? NOT_ASKED;
  const needsContext = STEPS.indexOf(step) >= STEPS.findIndex((other) => other.name === CONTEXT);
  const comparable = answer !== NOT_ASKED && (kind !== undefined || !needsContext);
  const expected = comparable ? expectedOf(step, kind) : undefined;
  const verdict = expected === undefined ? 'not compared' : answer === expected ? 'right' : 'wrong';
  return { step: name, answer, expected, verdict };
}

function expectedOf({ expected }: Step, kind: Kind | undefined): string | undefined {
  if (typeof expected === 'string') return expected;
  return kind && expected[kind];
}

function ask({ device, driver }: Session, method: Method, attributes: readonly Attribute[]): Promise<Answer<Reply>> {
  return call(device, method, attributes, driver);
}

function header({ device, driver }: Session, changes: { length?: number; reserved2?: number }): Promise<Answer<0>> {
  const bytes = abi.ib_uverbs_ioctl_hdr.encode({
    length: abi.ib_uverbs_ioctl_hdr.size,
    method_id: GET_CONTEXT.method,
    driver_id: driver,
    ...changes,
  });
  return device.ioctl(abi.RDMA_VERBS_IOCTL, bytes, []);
}

/** As for mlx5, the least that it accepts; rxe and siw read none of it. */
function contextAttributes(): Attribute[] {
  const wanted = { max_cqe_version: 1, lib_caps: abi.MLX5_LIB_CAP_4K_UAR | abi.MLX5_LIB_CAP_DYN_UAR };
  return [
    input(abi.UVERBS_ATTR_UHW_IN, abi.mlx5_ib_alloc_ucontext_req_v2.encode(wanted)),
    output(abi.UVERBS_ATTR_UHW_OUT, Buffer.alloc(abi.mlx5_ib_alloc_ucontext_resp.size)),
  ];
}

function path(session: Session, room: number): Promise<Answer<Reply>> {
  return ask(session, GET_PATH, [output(abi.MLX5_IB_ATTR_GET_DATA_DIRECT_SYSFS_PATH, Buffer.alloc(room))]);
}

const PD_WITHOUT_INPUT: readonly Attribute[] = [
  input64(abi.UVERBS_ATTR_WRITE_CMD, BigInt(abi.IB_USER_VERBS_CMD_ALLOC_PD)),
  output(abi.UVERBS_ATTR_CORE_OUT, Buffer.alloc(abi.ib_uverbs_alloc_pd_resp.size)),
];

async function allocPd(session: Session, more: readonly Attribute[] = []): Promise<Answer<0>> {
  const response = Buffer.alloc(abi.ib_uverbs_alloc_pd_resp.size);
  const answer = await ask(session, INVOKE_WRITE, [
    input64(abi.UVERBS_ATTR_WRITE_CMD, BigInt(abi.IB_USER_VERBS_CMD_ALLOC_PD)),
    input(abi.UVERBS_ATTR_CORE_IN, abi.ib_uverbs_alloc_pd.encode({})),
    output(abi.UVERBS_ATTR_CORE_OUT, response),
    output(abi.UVERBS_ATTR_UHW_OUT, Buffer.alloc(abi.mlx5_ib_alloc_pd_resp.size)),
    ...more,
  ]);
  if (refused(answer)) return answer;
  session.pd = abi.ib_uverbs_alloc_pd_resp.read(response).pd_handle;
  return 0;
}

interface Asked {
  readonly fd?: number;
  readonly length?: number;
  readonly offset?: number;
  readonly iova?: number;
  readonly access?: number;
  /** mlx5's own; left out where not given. */
  readonly flags?: number;
  readonly optional?: true;
}

function register(session: Session, asked: Asked): Promise<Answer<Reply>> | undefined {
  const { pd, pageSize } = session;
  if (pd === undefined) return undefined;
  const { fd = -1, length = pageSize, offset = 0, iova = 0, access = abi.IB_UVERBS_ACCESS_LOCAL_WRITE, flags } = asked;
  return ask(session, REG_DMABUF_MR, [
    newHandle(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    handle(abi.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, BigInt(offset)),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, BigInt(length)),
    input64(abi.UVERBS_ATTR_REG_DMABUF_MR_IOVA, BigInt(iova)),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_FD, fd),
    input32(abi.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, access),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, Buffer.alloc(4)),
    output(abi.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, Buffer.alloc(4)),
    ...(flags === undefined
      ? []
      : [
          {
            ...input32(abi.MLX5_IB_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, flags),
            ...(asked.optional && { optional: true as const }),
          },
        ]),
  ]);
}

/** So many times the buffer's length. */
async function registerBufferOf(session: Session, dmabuf: Dmabuf, times: number): Promise<Answer<unknown>> {
  const asked = {
    fd: dmabuf.fd,
    length: times * session.pageSize,
    flags: abi.MLX5_IB_UAPI_REG_DMABUF_ACCESS_DATA_DIRECT,
  };
  const answer = await register(session, asked);
  if (answer !== undefined && !refused(answer)) session.region = answer(abi.UVERBS_ATTR_REG_DMABUF_MR_HANDLE);
  return answer;
}

function registerBuffer(session: Session, times: number): Promise<Answer<unknown>> | undefined {
  const { dmabuf, pd } = session;
  return refused(dmabuf) || pd === undefined ? undefined : registerBufferOf(session, dmabuf, times);
}

function end(session: Session, method: Method, which: number | undefined): Promise<Answer<Reply>> | undefined {
  return which === undefined ? undefined : ask(session, method, [handle(0, which)]);
}
