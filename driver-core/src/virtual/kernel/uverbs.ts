// One open /dev/infiniband/uverbsN: what drivers/infiniband/core/uverbs_ioctl.c does with an ioctl's bytes, in its order of checks.
// Which methods there are and what they do stands in methods.ts; nothing here knows mlx5.
import type { Answer, Errno, Pointer } from '../../host/host.ts';
import {
  ib_uverbs_attr,
  ib_uverbs_ioctl_hdr,
  RDMA_VERBS_IOCTL,
  UVERBS_ATTR_F_MANDATORY,
  UVERBS_ATTR_F_VALID_OUTPUT,
} from '../../verbs/abi.ts';
import { errno } from './errno.ts';
import { fail, Fault } from './fault.ts';

/** How an attribute must look; UVERBS_ATTR_* of include/rdma/uverbs_ioctl.h. */
export type AttributeSpec = { readonly mandatory: boolean } & (
  | { readonly kind: 'in' | 'out'; readonly least: number; readonly most: number; readonly zeroTrailing?: boolean }
  | { readonly kind: 'handle'; readonly object: number; readonly access: 'new' | 'read' | 'destroy' }
);

export interface Method {
  /** The word by which a test makes it fail. */
  readonly name: string;
  /** Methods of the driver are cut off when the device goes; those of the core find out by themselves. */
  readonly ofDriver: boolean;
  readonly attributes: ReadonlyMap<number, AttributeSpec>;
  run(call: Call): void;
}

/** `object_id` → `method_id` → method. */
export type MethodTable = ReadonlyMap<number, ReadonlyMap<number, Method>>;

/** What an open file holds on to; it outlives the RDMA device. */
export interface UverbsDevice {
  /** enum rdma_driver_id. */
  readonly driverId: number;
  /** The RDMA device went while the file was open (disassociated). */
  gone: boolean;
  /** ib_rdmacg_try_charge: whether the caller's RDMA cgroup grants one more context or object. */
  mayCharge(): boolean;
  /** An errno to answer in a method's stead, for tests. */
  refusal(method: string): Errno | undefined;
}

/** An object behind a handle: a PD or an MR. `type` is its UVERBS_OBJECT_* number. */
export interface Handle {
  readonly type: number;
  readonly object: unknown;
  /** Throws EBUSY while something still needs it. */
  destroy(): void;
}

export class UverbsFile {
  readonly device: UverbsDevice;
  readonly pageSize: number;
  readonly #methods: MethodTable;
  /** The kernel hands out the lowest free number, from 0. */
  readonly #handles = new Map<number, Handle>();
  /** What the driver keeps for the context; undefined before GET_CONTEXT. */
  context: object | undefined;

  constructor(device: UverbsDevice, methods: MethodTable, pageSize: number) {
    this.device = device;
    this.#methods = methods;
    this.pageSize = pageSize;
  }

  ioctl(request: number, bytes: Buffer, pointers: readonly Pointer[]): Answer<0> {
    if (request !== RDMA_VERBS_IOCTL) return errno('ENOTTY', `ioctl 0x${request.toString(16)}`);
    try {
      this.#run(bytes, pointers);
      return 0;
    } catch (error) {
      if (error instanceof Fault) return error.errno;
      throw error;
    }
  }

  /** Closing frees everything, whatever is left. */
  close(): void {
    for (const [number, handle] of [...this.#handles].toReversed()) {
      handle.destroy();
      this.#handles.delete(number);
    }
    this.context = undefined;
  }

  /** What the RDMA cgroup counts: the context, and each object. */
  get charged(): number {
    return this.#handles.size + (this.context === undefined ? 0 : 1);
  }

  objects(type: number): unknown[] {
    return [...this.#handles.values()].filter((handle) => handle.type === type).map((handle) => handle.object);
  }

  /** -EIO after the device has gone, -EINVAL before GET_CONTEXT (ib_uverbs_get_ucontext_file). */
  requireContext(): object {
    if (this.device.gone) fail('EIO', 'the device was removed');
    return this.context ?? fail('EINVAL', 'no GET_CONTEXT yet');
  }

  reserveHandle(): number {
    this.requireContext();
    let number = 0;
    while (this.#handles.has(number)) number += 1;
    if (!this.device.mayCharge()) fail('EAGAIN', 'the RDMA cgroup grants no more objects');
    return number;
  }

  putHandle(number: number, handle: Handle): void {
    this.#handles.set(number, handle);
  }

  /** lookup_get_idr_uobject and the checks of rdma_lookup_get_uobject. */
  handle(number: bigint, type: number, access: 'read' | 'destroy'): Handle {
    if (number < 0n || number > 0xffff_ffffn) fail('EINVAL', `handle ${number}`);
    const found = this.#handles.get(Number(number));
    if (found === undefined) fail('ENOENT', `handle ${number}`);
    if (found.type !== type) fail('EINVAL', `handle ${number} is of another type`);
    if (access === 'read' && this.device.gone) fail('EIO', 'the device was removed');
    return found;
  }

  dropHandle(number: number): void {
    this.#handles.get(number)?.destroy();
    this.#handles.delete(number);
  }

  #run(bytes: Buffer, pointers: readonly Pointer[]): void {
    if (bytes.length < ib_uverbs_ioctl_hdr.size) fail('EFAULT', 'header');
    const header = ib_uverbs_ioctl_hdr.read(bytes);
    const announced = ib_uverbs_ioctl_hdr.size + header.num_attrs * ib_uverbs_attr.size;
    if (header.length > this.pageSize || header.length !== announced) fail('EINVAL', 'header length');
    if (header.reserved1 !== 0n || header.reserved2 !== 0) fail('EPROTONOSUPPORT', 'reserved header fields');
    if (header.driver_id !== this.device.driverId) fail('EINVAL', `driver_id ${header.driver_id}`);
    const method = this.#methods.get(header.object_id)?.get(header.method_id);
    if (method === undefined) fail('EPROTONOSUPPORT', `object ${header.object_id} method ${header.method_id}`);
    if (method.ofDriver && this.device.gone) fail('EIO', 'the device was removed');
    if (bytes.length < header.length) fail('EFAULT', 'attributes');

    const call = new Call(this, method, { bytes, pointers });
    for (let index = 0; index < header.num_attrs; index += 1) {
      call.take(ib_uverbs_ioctl_hdr.size + index * ib_uverbs_attr.size);
    }
    call.requireMandatory();
    const refusal = this.device.refusal(method.name);
    if (refusal !== undefined) throw new Fault(refusal);
    method.run(call);
    call.markDriverOutput();
  }
}

/** The caller's address space as far as it was handed over. */
interface UserMemory {
  readonly bytes: Buffer;
  readonly pointers: readonly Pointer[];
}

interface Attribute {
  /** Where its struct stands in the request. */
  readonly at: number;
  readonly length: number;
}

const UHW_OUT = 0x1001;

/** One method call: its attributes as the method asks for them. */
export class Call {
  readonly file: UverbsFile;
  readonly #method: Method;
  readonly #user: UserMemory;
  readonly #attributes = new Map<number, Attribute>();
  readonly #handles = new Map<number, number>();

  constructor(file: UverbsFile, method: Method, user: UserMemory) {
    this.file = file;
    this.#method = method;
    this.#user = user;
  }

  /** uverbs_set_attr: the attribute struct at this offset. */
  take(at: number): void {
    const { attr_id: id, len: length, flags, attr_data: reserved, data } = ib_uverbs_attr.read(this.#user.bytes, at);
    const what = `attribute 0x${id.toString(16)}`;
    const spec = this.#method.attributes.get(id);
    if (spec === undefined) {
      if ((flags & UVERBS_ATTR_F_MANDATORY) !== 0) fail('EPROTONOSUPPORT', what);
      return;
    }
    if (this.#attributes.has(id)) fail('EINVAL', `${what} twice`);
    if (spec.kind === 'handle') {
      if (reserved !== 0 || length !== 0) fail('EINVAL', what);
      this.#takeHandle(id, spec, data, at);
    } else {
      if (length > spec.most && spec.zeroTrailing === true && !this.#isZeroBeyond(at, length, spec.most))
        fail('EOPNOTSUPP', what);
      if (length < spec.least || (spec.zeroTrailing !== true && length > spec.most))
        fail('EINVAL', `${what} of ${length} bytes`);
      if (reserved !== 0) fail('EINVAL', what);
    }
    this.#attributes.set(id, { at, length });
  }

  #takeHandle(id: number, spec: Extract<AttributeSpec, { kind: 'handle' }>, data: bigint, at: number): void {
    if (spec.access === 'new') {
      const number = this.file.reserveHandle();
      this.#handles.set(id, number);
      // The kernel tells the number at once, whether or not the call then succeeds.
      ib_uverbs_attr.write(this.#user.bytes, at, { data: BigInt(number) });
      return;
    }
    this.file.handle(data, spec.object, spec.access);
    this.#handles.set(id, Number(data));
  }

  requireMandatory(): void {
    for (const [id, spec] of this.#method.attributes) {
      if (spec.mandatory && !this.#attributes.has(id)) fail('EINVAL', `attribute 0x${id.toString(16)} missing`);
    }
  }

  has(id: number): boolean {
    return this.#attributes.has(id);
  }

  /** Bytes that the caller gave room for; 0 when the attribute is missing. */
  length(id: number): number {
    return this.#attributes.get(id)?.length ?? 0;
  }

  /** uverbs_copy_from: up to eight bytes stand in the attribute itself, more behind its pointer. */
  input(id: number): Buffer | undefined {
    const attribute = this.#attributes.get(id);
    return attribute && this.#read(attribute.at, attribute.length);
  }

  inputU32(id: number): number {
    return this.input(id)?.readUInt32LE() ?? fail('ENOENT', `attribute ${id}`);
  }

  inputU64(id: number): bigint {
    return this.input(id)?.readBigUInt64LE() ?? fail('ENOENT', `attribute ${id}`);
  }

  /** uverbs_get_flags32: four or eight bytes; none means no flags; a bit outside `allowed` is EINVAL. */
  flags(id: number, allowed: number): number {
    const bytes = this.input(id);
    if (bytes === undefined) return 0;
    if (bytes.length !== 4 && bytes.length !== 8) fail('EINVAL', 'flags of an odd length');
    const value = bytes.length === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
    if ((value & ~BigInt(allowed)) !== 0n) fail('EINVAL', `flags 0x${value.toString(16)}`);
    return Number(value);
  }

  /** uverbs_copy_to: as much as the caller has room for; a missing attribute is no error. */
  output(id: number, data: Buffer): void {
    const attribute = this.#attributes.get(id);
    if (attribute === undefined) return;
    data.copy(this.#pointed(attribute.at, Math.min(attribute.length, data.length)));
    this.#markOutput(attribute);
  }

  /** ib_copy_to_udata: as many bytes as the driver says, whatever the caller announced. */
  driverOutput(data: Buffer): void {
    if (data.length === 0) return;
    const attribute = this.#attributes.get(UHW_OUT) ?? fail('EFAULT', 'UHW_OUT missing');
    data.copy(this.#pointed(attribute.at, data.length));
  }

  /** The core cannot know whether the driver wrote, and says that it did. */
  markDriverOutput(): void {
    const attribute = this.#attributes.get(UHW_OUT);
    if (attribute !== undefined) this.#markOutput(attribute);
  }

  /** The number behind a handle attribute, new or given. */
  handleNumber(id: number): number {
    return this.#handles.get(id) ?? fail('EINVAL', `handle ${id}`);
  }

  #markOutput({ at }: Attribute): void {
    const { flags } = ib_uverbs_attr.read(this.#user.bytes, at);
    ib_uverbs_attr.write(this.#user.bytes, at, { flags: flags | UVERBS_ATTR_F_VALID_OUTPUT });
  }

  #read(at: number, length: number): Buffer {
    const data = at + ib_uverbs_attr.offsets.data;
    return length <= 8 ? this.#user.bytes.subarray(data, data + length) : this.#pointed(at, length);
  }

  /** The memory behind an attribute's pointer: EFAULT when nothing, or not enough, was handed over. */
  #pointed(at: number, length: number): Buffer {
    const target = this.#user.pointers.find((pointer) => pointer.offset === at + ib_uverbs_attr.offsets.data)?.target;
    if (target === undefined || target.length < length) fail('EFAULT', 'user memory');
    return target.subarray(0, length);
  }

  #isZeroBeyond(at: number, length: number, known: number): boolean {
    return this.#read(at, length)
      .subarray(known)
      .every((byte) => byte === 0);
  }
}
