// One NIC's memory keys, as its firmware holds them: what an RDMA operation with a key meets. A data direct region is two keys (drivers/infiniband/
// hw/mlx5/mr.c): the crossing key that the user is given, and behind it a KSM key whose entries go through the NIC's one data direct key.

type Mkey =
  /** Made when the RDMA device is, with create_mkey.data_direct: addresses are those of the DMA function. */
  | { readonly mode: 'data-direct' }
  /** Pages of a DMABUF; `free` once it is revoked by UMR. */
  | { readonly mode: 'ksm'; readonly through: number; free: boolean }
  | { readonly mode: 'crossing'; readonly target: number }
  /** An ordinary region. */
  | { readonly mode: 'mtt' };

export class Mkeys {
  readonly #keys = new Map<number, Mkey>();
  #next = 0x100;
  /** The one that every data direct region of the NIC goes through; no use where the firmware has no data direct. */
  readonly dataDirect = this.create({ mode: 'data-direct' });

  /** Index and variant; the driver lets the variant at 0. */
  create(mkey: Mkey): number {
    const key = (this.#next++ << 8) >>> 0;
    this.#keys.set(key, mkey);
    return key;
  }

  /** A UMR that sets it free: whoever uses it from now on is refused, and nothing makes it good again. */
  revoke(key: number): void {
    const mkey = this.#keys.get(key);
    if (mkey?.mode === 'ksm') mkey.free = true;
  }

  destroy(key: number): void {
    this.#keys.delete(key);
  }

  /** What an operation with the key ends in. */
  reach(key: number): 'memory' | 'remote access error' {
    const mkey = this.#keys.get(key);
    if (mkey === undefined || (mkey.mode === 'ksm' && mkey.free)) return 'remote access error';
    if (mkey.mode === 'ksm') return this.reach(mkey.through);
    return mkey.mode === 'crossing' ? this.reach(mkey.target) : 'memory';
  }

  /** Keys of user regions that exist. */
  get count(): number {
    return this.#keys.size - 1;
  }
}
