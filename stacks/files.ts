import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Finding } from '../components/findings.ts';
import { type ResourceDocument, readResourceFiles } from '../components/manifests/read.ts';
import type { Configuration } from './config.ts';
import { keyPath } from './configuration/findings.ts';

/** The contents of the files that a configuration names. */
export interface Files {
  /** The database server's certificate authority in PEM. */
  readonly rootCertificate: string | undefined;
  /** The Kubernetes objects of each application. */
  readonly documents: Readonly<Record<string, readonly ResourceDocument[]>>;
  /** The contents of the secret files of each application, by the id of their mount. */
  readonly buildSecrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Reads them all; what cannot be read is a finding. */
export function readFiles(configuration: Configuration, root: string): { files: Files; findings: Finding[] } {
  const findings: Finding[] = [];
  const read = (path: string, at: readonly PropertyKey[]): string | undefined => {
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
  return { files: { rootCertificate, documents, buildSecrets }, findings };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
}
