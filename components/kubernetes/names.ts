/** Rules for names: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SERVICE = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const ENVIRONMENT_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const SECRET_KEY = /^[-._a-zA-Z0-9]+$/;

/**
 * What is wrong with a DNS-1123 label (namespaces, containers, pods' host names), or undefined.
 */
export function labelProblem(name: string): string | undefined {
  if (name.length > 63) return `is ${name.length} characters long; a DNS-1123 label has at most 63`;
  if (!LABEL.test(name)) {
    return `"${name}" is not a DNS-1123 label: use lower-case letters, digits and "-", starting and ending with a letter or digit`;
  }
  return undefined;
}

/**
 * What is wrong with a DNS-1123 subdomain (the names of most kinds), or undefined.
 */
export function subdomainProblem(name: string): string | undefined {
  if (name.length > 253) return `is ${name.length} characters long; a DNS-1123 subdomain has at most 253`;
  if (name.split('.').some((part) => !LABEL.test(part))) {
    return `"${name}" is not a DNS-1123 subdomain: use lower-case letters, digits, "-" and ".", each part starting and ending with a letter or digit`;
  }
  return undefined;
}

/**
 * What is wrong with a name that a Service will carry (DNS-1035: starts with a letter), or undefined.
 *
 * @param longest the most characters allowed, less than 63 where suffixes are added. @default 63
 */
export function serviceNameProblem(name: string, longest = 63): string | undefined {
  if (name.length > longest) return `is ${name.length} characters long; at most ${longest} are allowed`;
  if (!SERVICE.test(name)) {
    return `"${name}" is not a DNS-1035 label: start with a lower-case letter, then lower-case letters, digits and "-", ending with a letter or digit`;
  }
  return undefined;
}

/** What is wrong with the name of an environment variable, or undefined. */
export function environmentVariableProblem(name: string): string | undefined {
  if (ENVIRONMENT_VARIABLE.test(name)) return undefined;
  return `"${name}" is not the name of an environment variable: use letters, digits and "_", not starting with a digit`;
}

/** What is wrong with a key of a Secret or ConfigMap, or undefined. */
export function secretKeyProblem(key: string): string | undefined {
  if (key.length > 253) return `is ${key.length} characters long; a key has at most 253`;
  if (!SECRET_KEY.test(key) || key === '.' || key === '..') {
    return `"${key}" is not a key of a Secret: use letters, digits, "-", "_" and "."`;
  }
  return undefined;
}

/** What is wrong with a TCP port, or undefined. */
export function portProblem(port: number): string | undefined {
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return undefined;
  return `${port} is not a port: use a whole number from 1 to 65535`;
}
