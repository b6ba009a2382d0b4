/**
 * Image references: `[registry/]repository[:tag][@digest]`, read as the docker CLI reads them
 * (distribution reference grammar: https://distribution.github.io/distribution/spec/api/).
 */

export interface Reference {
  /** Host and port, e.g. `127.0.0.1:5000`; `docker.io` where none is given. */
  readonly registry: string;
  /** Path in the registry, e.g. `library/node`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
  /** False when the registry was not written out (`node:20`), so that docker.io was filled in. */
  readonly qualified: boolean;
}

export const DOCKER_HUB = 'docker.io';

const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[a-z][a-z0-9]*(?:[-_+.][a-z][a-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/** Reads an image reference. Throws an error that names the part that is wrong. */
export function parseReference(text: string): Reference {
  let rest = text;
  let digest: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!DIGEST.test(digest)) throw new Error(`"${text}": "${digest}" is not a digest such as sha256:<64 hex digits>`);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag)) {
      throw new Error(`"${text}": "${tag}" is not a tag (letters, digits, "_", "." and "-", at most 128 characters)`);
    }
  }
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  // A first part counts as a host only with a dot, a port or the name localhost: that is docker's own rule.
  const hasHost = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const registry = hasHost ? first : DOCKER_HUB;
  let repository = hasHost ? rest.slice(slash + 1) : rest;
  if (!HOST.test(registry)) throw new Error(`"${text}": "${registry}" is not a registry host`);
  if (!PATH.test(repository)) {
    throw new Error(
      `"${text}": "${repository}" is not a repository name (lower-case letters, digits, ".", "_", "-", "/")`,
    );
  }
  if (registry === DOCKER_HUB && !repository.includes('/')) repository = `library/${repository}`;
  return { registry, repository, tag, digest, qualified: hasHost };
}

/** Host and port of an address such as `https://registry.example.com/v1/`; Docker Hub's many names become `docker.io`. */
export function registryHost(address: string): string {
  const host = address.replace(/^https?:\/\//, '').split('/')[0] ?? '';
  return ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'].includes(host)
    ? DOCKER_HUB
    : host;
}

/** True for a registry on this machine: docker itself speaks plain HTTP with those. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
