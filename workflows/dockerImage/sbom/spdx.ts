/** An SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/) of what an image holds. Pure. */

import { PackageURL } from 'packageurl-js';
import type { Contents, Package } from './model.ts';

export interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly downloadLocation: 'NOASSERTION';
  readonly filesAnalyzed: false;
  readonly licenseDeclared: string;
  readonly licenseConcluded: 'NOASSERTION';
  readonly copyrightText: 'NOASSERTION';
  readonly primaryPackagePurpose?: 'CONTAINER';
  readonly externalRefs: readonly {
    readonly referenceCategory: 'PACKAGE-MANAGER';
    readonly referenceType: 'purl';
    readonly referenceLocator: string;
  }[];
}

export interface SpdxDocument {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: 'SPDXRef-DOCUMENT';
  readonly name: string;
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string; readonly creators: readonly string[] };
  readonly packages: readonly SpdxPackage[];
  readonly relationships: readonly {
    readonly spdxElementId: string;
    readonly relationshipType: 'DESCRIBES' | 'CONTAINS';
    readonly relatedSpdxElement: string;
  }[];
}

export interface Described {
  /** Repository with its registry, without tag: `ghcr.io/example/orders`. */
  readonly repository: string;
  /** `sha256:…` */
  readonly digest: string;
}

/** @param created time, as ISO 8601 */
export function spdxDocument({ repository, digest }: Described, contents: Contents, created: string): SpdxDocument {
  const image: SpdxPackage = {
    ...described('SPDXRef-image', repository, digest, undefined, imagePurl(repository, digest)),
    primaryPackagePurpose: 'CONTAINER',
  };
  const packages = contents.packages.map((one, index) =>
    described(`SPDXRef-package-${index + 1}`, one.name, one.version, one.license, purl(one, contents)),
  );
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${repository}@${digest}`,
    documentNamespace: `https://${repository}/sbom/${digest.replace(':', '-')}`,
    creationInfo: { created: created.replace(/\.\d+Z$/, 'Z'), creators: ['Tool: development-operations'] },
    packages: [image, ...packages],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: image.SPDXID },
      ...packages.map(({ SPDXID }) => ({
        spdxElementId: image.SPDXID,
        relationshipType: 'CONTAINS' as const,
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
}

function described(
  id: string,
  name: string,
  version: string,
  license: string | undefined,
  locator: string,
): SpdxPackage {
  return {
    SPDXID: id,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseDeclared: license !== undefined && isExpression(license) ? license : 'NOASSERTION',
    licenseConcluded: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: locator }],
  };
}

/** What npm packages write besides SPDX expressions ("SEE LICENSE IN …", free texts) would make the document invalid. */
function isExpression(license: string): boolean {
  return /^\(?[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*\)?$/.test(license) && license !== 'UNLICENSED';
}

function purl({ type, name, version, architecture }: Package, { distribution }: Contents): string {
  if (type === 'npm') {
    const slash = name.indexOf('/');
    const [scope, own] = slash < 0 ? [undefined, name] : [name.slice(0, slash), name.slice(slash + 1)];
    return new PackageURL('npm', scope, own, version, undefined, undefined).toString();
  }
  const distro = distribution && [distribution.id, distribution.version].filter(Boolean).join('-');
  const qualifiers = { ...(architecture && { arch: architecture }), ...(distro && { distro }) };
  return new PackageURL(type, distribution?.id, name, version, qualifiers, undefined).toString();
}

function imagePurl(repository: string, digest: string): string {
  const name = repository.slice(repository.lastIndexOf('/') + 1);
  return new PackageURL('oci', undefined, name, digest, { repository_url: repository }, undefined).toString();
}
