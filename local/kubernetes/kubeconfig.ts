import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { CertificateFiles } from '../pki.ts';

export interface KubeconfigOptions {
  readonly server: string;
  /** Name of the context, cluster and user. */
  readonly name: string;
  /** PEM. */
  readonly ca: string;
  /** PEM. */
  readonly certificate: string;
  /** PEM. Makes the result a secret. */
  readonly key: string;
}

/** A kubeconfig with one context and everything embedded, so that it can be moved and mounted. */
export function renderKubeconfig(options: KubeconfigOptions): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': options.name,
    clusters: [
      { name: options.name, cluster: { server: options.server, 'certificate-authority-data': base64(options.ca) } },
    ],
    users: [
      {
        name: options.name,
        user: { 'client-certificate-data': base64(options.certificate), 'client-key-data': base64(options.key) },
      },
    ],
    contexts: [{ name: options.name, context: { cluster: options.name, user: options.name } }],
  });
}

/** `renderKubeconfig` of certificate files. */
export function kubeconfigOf(files: CertificateFiles, server: string, name: string): string {
  return renderKubeconfig({
    server,
    name,
    ca: readFileSync(files.caFile, 'utf8'),
    certificate: readFileSync(files.certFile, 'utf8'),
    key: readFileSync(files.keyFile, 'utf8'),
  });
}
