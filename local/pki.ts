import 'reflect-metadata';
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import type { Context } from './service.ts';

/** What the functions here need of a context. */
export type PkiContext = Pick<Context, 'directory'>;

/** What a certificate may be used for (RFC 5280, 4.2.1.12). */
export type Usage = 'server' | 'client';

export interface CertificateRequest {
  /** File name under `.local/tls`, without the ending. */
  readonly name: string;
  readonly commonName: string;
  /** Kubernetes reads groups from it. */
  readonly organization?: string;
  /** DNS names and IP addresses. */
  readonly sans?: readonly string[];
  readonly usages: readonly Usage[];
  /** @default 365; issued anew when fewer than 30 are left */
  readonly days?: number;
}

export interface CertificateFiles {
  /** PEM, readable by everyone. */
  readonly certFile: string;
  /** PEM (PKCS #8), mode 0600. */
  readonly keyFile: string;
  /** PEM of the authority that signed it. */
  readonly caFile: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const RENEW_DAYS = 30;

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly caFile: string;
}

const authorities = new Map<string, Promise<Authority>>();
/** Those whose files are not written yet: who asks meanwhile must not make another. */
const beingMade = new Set<string>();

/** Path of the certificate authority's certificate; the file is there after the first `issue`. */
export function caFilePath(ctx: PkiContext): string {
  return join(ctx.directory, 'tls', 'ca.crt');
}

/** Makes the environment's certificate authority when it is not there, or nearly expired. */
export async function ensureAuthority(ctx: PkiContext): Promise<string> {
  return (await authority(ctx)).caFile;
}

function authority(ctx: PkiContext): Promise<Authority> {
  const { directory } = ctx;
  let found = authorities.get(directory);
  // Made anew when the folder was removed meanwhile (`clean` and `up` in one process, tests).
  if (found === undefined || (!beingMade.has(directory) && !existsSync(caFilePath(ctx)))) {
    beingMade.add(directory);
    found = loadAuthority(ctx).finally(() => beingMade.delete(directory));
    authorities.set(directory, found);
  }
  return found;
}

async function loadAuthority(ctx: PkiContext): Promise<Authority> {
  x509.cryptoProvider.set(webcrypto);
  const directory = join(ctx.directory, 'tls');
  const caFile = caFilePath(ctx);
  const keyFile = join(directory, 'ca.key');
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  if (existsSync(caFile) && existsSync(keyFile)) {
    const certificate = new x509.X509Certificate(readFileSync(caFile, 'utf8'));
    if (certificate.notAfter.getTime() - Date.now() > RENEW_DAYS * DAY_MS) {
      return { certificate, key: await importKey(readFileSync(keyFile, 'utf8')), caFile };
    }
  }
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['development-operations'] }, { CN: [`local ${randomBytes(4).toString('hex')}`] }],
    ...validity(CA_DAYS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  write(keyFile, await exportKey(keys.privateKey), 0o600);
  write(caFile, certificate.toString('pem'), 0o644);
  return { certificate, key: keys.privateKey, caFile };
}

/**
 * A certificate signed by the environment's authority. The one on disk is used again while it says the same, is signed
 * by the present authority and has 30 days left.
 */
export async function issue(ctx: PkiContext, request: CertificateRequest): Promise<CertificateFiles> {
  const ca = await authority(ctx);
  const directory = join(ctx.directory, 'tls');
  const files = {
    certFile: join(directory, `${request.name}.crt`),
    keyFile: join(directory, `${request.name}.key`),
    caFile: ca.caFile,
  };
  if (isCurrent(files, request, ca)) return files;
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const sans = sorted(request.sans);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subjectOf(request),
    issuer: ca.certificate.subject,
    ...validity(request.days ?? 365),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: ca.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        request.usages.map((usage) =>
          usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
        ),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(ca.certificate.publicKey),
      ...(sans.length === 0
        ? []
        : [
            new x509.SubjectAlternativeNameExtension(
              sans.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const),
            ),
          ]),
    ],
  });
  write(files.keyFile, await exportKey(keys.privateKey), 0o600);
  write(files.certFile, certificate.toString('pem'), 0o644);
  return files;
}

function isCurrent(files: CertificateFiles, request: CertificateRequest, ca: Authority): boolean {
  if (!existsSync(files.certFile) || !existsSync(files.keyFile)) return false;
  try {
    const certificate = new X509Certificate(readFileSync(files.certFile));
    const sans = (certificate.subjectAltName ?? '')
      .split(', ')
      .filter((entry) => entry !== '')
      .map((entry) => entry.replace(/^(DNS|IP Address):/, ''));
    const subject = new x509.X509Certificate(readFileSync(files.certFile, 'utf8')).subject;
    return (
      certificate.verify(new X509Certificate(readFileSync(ca.caFile)).publicKey) &&
      new Date(certificate.validTo).getTime() - Date.now() > RENEW_DAYS * DAY_MS &&
      subject === new x509.Name(subjectOf(request)).toString() &&
      sorted(sans).join() === sorted(request.sans).join()
    );
  } catch {
    return false;
  }
}

/** A list of attributes, not a string: common names such as `system:node:local` would need quoting. */
function subjectOf(request: CertificateRequest): x509.JsonName {
  return [...(request.organization === undefined ? [] : [{ O: [request.organization] }]), { CN: [request.commonName] }];
}

function sorted(values: readonly string[] | undefined): string[] {
  return [...(values ?? [])].sort();
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  // One hour back: clocks of virtual machines drift.
  return { notBefore: new Date(Date.now() - 60 * 60 * 1000), notAfter: new Date(Date.now() + days * DAY_MS) };
}

/** 16 random bytes, positive (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

function write(path: string, text: string, mode: number): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text.endsWith('\n') ? text : `${text}\n`, { mode });
  renameSync(temporary, path);
}
