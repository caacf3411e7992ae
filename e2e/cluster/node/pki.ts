// The certificates of the cluster, made by openssl: one authority and the table of those it signs.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../rig/run.ts';
import { layout, network, nodeName } from './layout.ts';

export type CertificateName =
  | 'apiserver'
  | 'apiserver-kubelet-client'
  | 'kubelet-server'
  | 'admin'
  | 'controller-manager'
  | 'scheduler'
  | 'kubelet'
  | 'kube-proxy';

interface Certificate {
  readonly name: CertificateName;
  readonly subject: string;
  /** Given for servers; clients have none. */
  readonly names?: readonly string[];
}

/** Users and groups are the ones that RBAC's built-in bindings and the Node authorizer know. */
export const certificates: readonly Certificate[] = [
  {
    name: 'apiserver',
    subject: '/CN=kube-apiserver',
    names: [
      `IP:${network.nodeAddress}`,
      `IP:${network.apiServerService}`,
      'IP:127.0.0.1',
      'DNS:kubernetes',
      'DNS:kubernetes.default',
      'DNS:kubernetes.default.svc',
    ],
  },
  { name: 'kubelet-server', subject: `/CN=${nodeName}`, names: [`IP:${network.nodeAddress}`, `DNS:${nodeName}`] },
  { name: 'apiserver-kubelet-client', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
  { name: 'admin', subject: '/O=system:masters/CN=data-direct-admin' },
  { name: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
  { name: 'scheduler', subject: '/CN=system:kube-scheduler' },
  { name: 'kubelet', subject: `/O=system:nodes/CN=system:node:${nodeName}` },
  { name: 'kube-proxy', subject: '/CN=system:kube-proxy' },
];

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-sha256', '-days', '365'];

export const pkiFile = (name: string, kind: 'crt' | 'key' | 'pub'): string => join(layout.pki, `${name}.${kind}`);

export function certificateArguments({ name, subject, names }: Certificate): string[] {
  const usage = names === undefined ? ['clientAuth'] : ['serverAuth'];
  const extensions = [
    'basicConstraints=critical,CA:false',
    `extendedKeyUsage=${usage.join(',')}`,
    ...(names === undefined ? [] : [`subjectAltName=${names.join(',')}`]),
  ];
  const signed = ['-CA', pkiFile('ca', 'crt'), '-CAkey', pkiFile('ca', 'key')];
  return newCertificate(name, subject, extensions, signed);
}

/** `openssl req -x509`: a new key and its certificate in one go, signed by itself or by an authority. */
function newCertificate(
  name: string,
  subject: string,
  extensions: readonly string[],
  signer: readonly string[],
): string[] {
  const added = extensions.flatMap((extension) => ['-addext', extension]);
  const files = ['-keyout', pkiFile(name, 'key'), '-out', pkiFile(name, 'crt')];
  return ['req', '-x509', ...newKey, '-subj', subject, ...signer, ...added, ...files];
}

export async function makePki(signal?: AbortSignal): Promise<void> {
  await mkdir(layout.pki, { recursive: true, mode: 0o700 });
  const openssl = (args: readonly string[]): Promise<unknown> => run('openssl', args, { signal });
  await Promise.all([
    openssl(newCertificate('ca', '/CN=data-direct-cluster', ['keyUsage=critical,keyCertSign,digitalSignature'], [])),
    openssl(['ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', pkiFile('service-account', 'key')]),
  ]);
  await openssl(['ec', '-in', pkiFile('service-account', 'key'), '-pubout', '-out', pkiFile('service-account', 'pub')]);
  await Promise.all(certificates.map((certificate) => openssl(certificateArguments(certificate))));
}

/** A kubeconfig that carries its certificates: it can be copied anywhere. JSON is YAML. */
export async function kubeconfig(user: CertificateName, server: string): Promise<string> {
  const [authority, certificate, key] = await Promise.all(
    [pkiFile('ca', 'crt'), pkiFile(user, 'crt'), pkiFile(user, 'key')].map((file) => readFile(file, 'base64')),
  );
  const name = 'data-direct';
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority-data': authority } }],
      users: [{ name: user, user: { 'client-certificate-data': certificate, 'client-key-data': key } }],
      contexts: [{ name, context: { cluster: name, user } }],
      'current-context': name,
    },
    undefined,
    2,
  );
}
