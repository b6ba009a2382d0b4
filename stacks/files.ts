import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { Finding } from '../components/findings.ts';
import { type ResourceDocument, readResourceFiles } from '../components/manifests/read.ts';
import type { Configuration } from './config.ts';
import { keyPath } from './configuration/findings.ts';
import { OPERATIONS_API } from './configuration/operationsRelations.ts';

/** The contents of the files that a configuration names. */
export interface Files {
  /** The database server's certificate authority in PEM. */
  readonly rootCertificate: string | undefined;
  /** The Kubernetes objects of each application. */
  readonly documents: Readonly<Record<string, readonly ResourceDocument[]>>;
  /** The contents of the secret files of each application, by the id of their mount. */
  readonly buildSecrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly operations: OperationsFiles;
}

/** Those of the gateway and the operations API. */
export interface OperationsFiles {
  /** The gateway's certificate chain and private key in PEM. */
  readonly tls: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** What the authentication of a route names: users or an authority, by route. */
  readonly routes: Readonly<Record<string, string>>;
  /** The authorities of issuers, by their place in the list. */
  readonly issuers: Readonly<Record<number, string>>;
}

/**
 * Reads them all; what cannot be read is a finding.
 *
 * @param confined whether a file outside of `root` is a finding too: for a configuration that nobody has reviewed
 */
export function readFiles(
  configuration: Configuration,
  root: string,
  confined = false,
): { files: Files; findings: Finding[] } {
  const findings: Finding[] = [];
  const refused = (path: string, at: readonly PropertyKey[]): boolean => {
    if (!confined || isInside(root, path)) return false;
    findings.push({ path: keyPath(at), problem: `"${path}" is outside of the repository: name a file that is in it` });
    return true;
  };
  const read = (path: string, at: readonly PropertyKey[]): string | undefined => {
    if (refused(path, at)) return undefined;
    try {
      return readFileSync(resolve(root, path), 'utf8');
    } catch (error) {
      findings.push({
        path: keyPath(at),
        problem: `cannot read "${path}" (${codeOf(error)}): name a file that exists`,
      });
      return undefined;
    }
  };
  const documents: Record<string, readonly ResourceDocument[]> = {};
  const buildSecrets: Record<string, Record<string, string>> = {};
  const environment = configuration.stack === 'environment';
  const certificateFile = environment ? configuration.database?.rootCertificateFile : undefined;
  const rootCertificate = certificateFile && read(certificateFile, ['database', 'rootCertificateFile']);
  for (const [name, application] of Object.entries(configuration.applications)) {
    const at = ['applications', name];
    if (refused(application.path, [...at, 'path'])) continue;
    if (!isFolder(resolve(root, application.path))) {
      findings.push({
        path: keyPath([...at, 'path']),
        problem: `"${application.path}" is not a folder: expected the application's`,
      });
      continue;
    }
    const secrets: Record<string, string> = {};
    for (const [id, file] of Object.entries(
      application.images.mode === 'build' ? application.images.secretFiles : {},
    )) {
      secrets[id] = read(file, [...at, 'images', 'secretFiles', id]) ?? '';
    }
    buildSecrets[name] = secrets;
    if (!environment) continue;
    const resources = readResourceFiles({
      directory: join(root, application.path),
      patterns: application.resourceFiles,
      allowClusterScoped: application.allowClusterScoped,
    });
    documents[name] = resources.documents;
    for (const finding of resources.findings) {
      findings.push({ path: keyPath([...at, 'resourceFiles']), problem: `${finding.path}: ${finding.problem}` });
    }
  }
  if (configuration.operationsApi) {
    buildSecrets[OPERATIONS_API] = readAll(configuration.operationsApi.images.secretFiles, read);
  }
  const operations = environment ? operationsFiles(configuration, read) : NO_FILES;
  return { files: { rootCertificate, documents, buildSecrets, operations }, findings };
}

type Read = (path: string, at: readonly PropertyKey[]) => string | undefined;

function readAll(files: Readonly<Record<string, string>>, read: Read): Record<string, string> {
  const at = ['operationsApi', 'images', 'secretFiles'];
  return Object.fromEntries(Object.entries(files).map(([id, file]) => [id, read(file, [...at, id]) ?? '']));
}

const NO_FILES: OperationsFiles = { tls: undefined, routes: {}, issuers: {} };

function operationsFiles({ gateway, operationsApi }: Configuration, read: Read): OperationsFiles {
  const routes: Record<string, string> = {};
  const issuers: Record<number, string> = {};
  for (const [name, { authentication }] of Object.entries(gateway?.routes ?? {})) {
    const at = ['gateway', 'routes', name, 'authentication'];
    if (authentication.type === 'basic') {
      routes[name] = read(authentication.usersFile, [...at, 'usersFile']) ?? '';
    } else if (authentication.type === 'mutualTls') {
      routes[name] = read(authentication.certificateAuthorityFile, [...at, 'certificateAuthorityFile']) ?? '';
    }
  }
  for (const [index, { certificateAuthorityFile }] of (operationsApi?.issuers ?? []).entries()) {
    if (certificateAuthorityFile === undefined) continue;
    const at = ['operationsApi', 'issuers', index, 'certificateAuthorityFile'];
    issuers[index] = read(certificateAuthorityFile, at) ?? '';
  }
  const tls = gateway && {
    certificate: read(gateway.certificateFile, ['gateway', 'certificateFile']) ?? '',
    privateKey: read(gateway.keyFile, ['gateway', 'keyFile']) ?? '',
  };
  return { tls, routes, issuers };
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, resolve(root, path));
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
}
