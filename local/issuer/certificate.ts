import type { CertificateRequest } from '../pki.ts';
import { HOST, NAME } from './facts.ts';

export function certificateRequest(): CertificateRequest {
  const sans = [...new Set([HOST, '127.0.0.1', 'localhost'])];
  return { name: NAME, commonName: NAME, sans, usages: ['server'] };
}
