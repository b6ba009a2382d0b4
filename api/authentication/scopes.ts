import type { JWTPayload } from 'jose';
import type { Action, Caller } from '../model.ts';
import type { IssuerRule, IssuerSettings } from '../settings.ts';

/** Each holds those before it. */
const RANKS: readonly Action[] = ['read', 'plan', 'apply', 'admin'];

/** Whether one of the scopes allows the action in the environment: admin ⊃ apply ⊃ plan ⊃ read. */
export function allows(scopes: readonly string[], environment: string, action: Action): boolean {
  return RANKS.slice(RANKS.indexOf(action)).some((held) => scopes.includes(`${environment}:${held}`));
}

export function actionsIn(scopes: readonly string[], environment: string): Action[] {
  return RANKS.filter((action) => allows(scopes, environment, action));
}

/** Whether a scope, such as `local:plan`, is held; one of another form only as it stands. */
export function holds(scopes: readonly string[], required: string): boolean {
  const at = required.lastIndexOf(':');
  const action = RANKS.find((rank) => rank === required.slice(at + 1));
  return action && at > 0 ? allows(scopes, required.slice(0, at), action) : scopes.includes(required);
}

/** Who a token that was verified stands for. */
export function callerOf(payload: JWTPayload, settings: IssuerSettings): Caller {
  const fromClaim = settings.scopeClaim === undefined ? [] : listed(payload[settings.scopeClaim]).filter(isScope);
  const rules = (settings.rules ?? []).filter((rule) => matches(rule, payload));
  const namespaces = [
    ...(fromClaim.length > 0 ? (settings.namespaces ?? []) : []),
    ...rules.flatMap((rule) => rule.namespaces.flatMap((namespace) => namespaceOf(namespace, payload))),
  ];
  return {
    issuer: settings.issuer,
    subject: String(payload.sub),
    scopes: [...new Set([...fromClaim, ...rules.flatMap(({ scopes }) => scopes)])].sort(),
    namespaces: [...new Set(namespaces)].sort(),
  };
}

/** `own` is the namespace of a Kubernetes service account: nobody but the API server writes that claim. */
function namespaceOf(namespace: string, payload: JWTPayload): string[] {
  if (namespace !== 'own') return [namespace];
  const claim = payload['kubernetes.io'];
  if (typeof claim !== 'object' || claim === null || !('namespace' in claim)) return [];
  return typeof claim.namespace === 'string' ? [claim.namespace] : [];
}

function isScope(text: string): boolean {
  return RANKS.some((action) => text.endsWith(`:${action}`) && text.length > action.length + 1);
}

/** A list in a claim: separated by spaces as in RFC 8693, section 4.2, or an array. */
function listed(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ').filter((entry) => entry !== '');
  return Array.isArray(claim) ? claim.filter((entry) => typeof entry === 'string') : [];
}

/** A rule without claims would match every token: it matches none. */
function matches({ claims }: IssuerRule, payload: JWTPayload): boolean {
  const wanted = Object.entries(claims);
  return wanted.length > 0 && wanted.every(([name, pattern]) => valuesOf(payload[name]).some(like(pattern)));
}

function valuesOf(claim: unknown): string[] {
  if (typeof claim === 'string') return [claim];
  if (typeof claim === 'number' || typeof claim === 'boolean') return [String(claim)];
  return Array.isArray(claim) ? claim.filter((entry) => typeof entry === 'string') : [];
}

function like(pattern: string): (value: string) => boolean {
  const literal = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const expression = new RegExp(`^${literal.join('.*')}$`, 's');
  return (value) => expression.test(value);
}
