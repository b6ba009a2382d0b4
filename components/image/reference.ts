/** Rules for references: https://github.com/distribution/reference (grammar in reference.go) */

const COMPONENT = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$/;
const SERVER = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*(:[0-9]{1,5})?$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** What is wrong with a registry's address (`host` or `host:port`, without a scheme), or undefined. */
export function serverProblem(server: string): string | undefined {
  if (server.includes('://'))
    return `"${server}" has a scheme: write only the host and port, such as "registry.example.com:5000"`;
  if (!SERVER.test(server)) return `"${server}" is not a registry's address: expected "host" or "host:port"`;
  const port = /:(\d+)$/.exec(server)?.[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
    return `"${server}" has a port outside 1 to 65535`;
  return undefined;
}

/** What is wrong with the path of a repository (without the registry, tag and digest), or undefined. */
export function repositoryPathProblem(path: string): string | undefined {
  if (path.length > 255) return `is ${path.length} characters long; a repository has at most 255`;
  if (path.includes(':') || path.includes('@')) return `"${path}" has a tag or digest: name only the repository`;
  if (path.split('/').some((part) => !COMPONENT.test(part))) {
    return `"${path}" is not a repository: use lower-case letters and digits, parted by "/", ".", "_" or "-"`;
  }
  return undefined;
}

/** What is wrong with a whole repository (`host[:port]/path`), or undefined. */
export function repositoryProblem(repository: string): string | undefined {
  const slash = repository.indexOf('/');
  if (slash < 0) return `"${repository}" has no registry: expected "host[:port]/path"`;
  return serverProblem(repository.slice(0, slash)) ?? repositoryPathProblem(repository.slice(slash + 1));
}

/** What is wrong with a tag, or undefined. */
export function tagProblem(tag: string): string | undefined {
  if (TAG.test(tag)) return undefined;
  return `"${tag}" is not a tag: use letters, digits, "_", "." and "-", at most 128, not starting with "." or "-"`;
}

/**
 * The reference of an image by digest.
 *
 * @throws Error when the digest is not a SHA-256 digest: a tag must never take its place.
 */
export function referenceByDigest(repository: string, digest: string): string {
  if (!DIGEST.test(digest)) {
    throw new Error(
      `the registry answered "${digest}" as the digest of ${repository}: expected "sha256:" and 64 digits`,
    );
  }
  return `${repository}@${digest}`;
}
