// The real KubeApi: HTTP/1.1 on node:https (3 MiB, where fetch costs 30), one request or one stream at a time.
import type { KubeApi } from './api.ts';
import type { Clock } from './clock.ts';
import type { Connection } from './connection.ts';

export declare function connect(connection: Connection, options: { userAgent: string; clock?: Clock }): KubeApi;
