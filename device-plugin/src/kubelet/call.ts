// One unary gRPC call over a unix socket, on a connection of its own: nothing lingers between calls, and no channel's back-off
// stands between us and a kubelet that has just come back.
import grpc from '@grpc/grpc-js';

import type { Method } from './protocol.ts';

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Rejects with grpc-js's ServiceError (`code`, `details`). */
export async function callOnce<Request, Answer>(
  socket: string,
  { path, requestSerialize, responseDeserialize }: Method<Request, Answer>,
  request: Request,
  { timeoutMs, signal }: CallOptions,
): Promise<Answer> {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), { 'grpc.enable_channelz': 0 });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const call = client.makeUnaryRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    new grpc.Metadata(),
    { deadline: Date.now() + timeoutMs },
    (error, answer) => {
      if (error) reject(error);
      else resolve(answer as Answer);
    },
  );
  const cancel = (): void => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel);
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', cancel);
    client.close();
  }
}
