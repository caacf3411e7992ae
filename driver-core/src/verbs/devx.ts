// Firmware commands through a verbs context (DEVX), which needs no privilege beyond opening the uverbs node: the driver passes QUERY_HCA_CAP and
// the range 0xb00–0xcff, with QUERY_VUID in it, for contexts that were opened with the DEVX flag (drivers/infiniband/hw/mlx5/devx.c).
import type { Answer, Host } from '../host/host.ts';
import { refused } from '../host/host.ts';
import * as abi from './abi.ts';
import { Context } from './context.ts';
import { Refusal } from './errors.ts';
import type { Firmware } from './firmware.ts';
import { refusedByFirmware } from './firmware.ts';
import type { Method } from './request.ts';
import { call, input, output } from './request.ts';

const DEVX_OTHER: Method = { object: abi.MLX5_IB_OBJECT_DEVX, method: abi.MLX5_IB_METHOD_DEVX_OTHER };

export async function openDevx(host: Host, uverbs: string, nic: string): Promise<Firmware | Refusal> {
  const context = await Context.open(host, uverbs, nic, { devx: true });
  if (context instanceof Refusal) return context;
  return {
    execute: (command, answerBytes) => execute(context, command, answerBytes),
    close: () => context.close(),
  };
}

async function execute({ device }: Context, command: Buffer, answerBytes: number): Promise<Answer<Buffer>> {
  const answer = Buffer.alloc(answerBytes);
  const done = await call(device, DEVX_OTHER, [
    input(abi.MLX5_IB_ATTR_DEVX_OTHER_CMD_IN, command),
    output(abi.MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT, answer),
  ]);
  if (!refused(done)) return answer;
  // Only with this errno has the kernel copied the answer out.
  return done.code === 'EREMOTEIO' ? (refusedByFirmware(answer) ?? done) : done;
}
