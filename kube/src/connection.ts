// Where an API server is and how this process proves who it is.

export interface Connection {
  /** Such as `https://10.96.0.1:443`; plain http only for a virtual server on loopback. */
  server: string;
  /** PEM. Without it the CAs that Node brings. */
  ca?: string;
  caFile?: string;
  token?: string;
  /** Read anew every 60 s, and after a 401: bound service account tokens rotate. */
  tokenFile?: string;
  /** PEM client certificate and key, for development outside a cluster. */
  cert?: string;
  key?: string;
}

/** The service account of this pod. Throws KUBE_NOT_CONFIGURED outside a cluster. */
export declare function inCluster(environment?: NodeJS.ProcessEnv): Connection;
