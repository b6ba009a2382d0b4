import type { Finding } from '../findings.ts';
import {
  environmentVariableProblem,
  labelProblem,
  portProblem,
  secretKeyProblem,
  serviceNameProblem,
} from '../kubernetes/names.ts';
import type { OperationsApiArguments } from './operationsApi.ts';

/** Longest name: the Role of a namespace adds it to the name, and suffixes are added. */
const LONGEST_NAME = 40;
/** Variables that the component sets itself. */
const OWN_VARIABLES = new Set([
  'API_ENCRYPTION_KEY',
  'API_STATE_PASSPHRASE',
  'API_SETTINGS_FILE',
  'HOME',
  'PULUMI_HOME',
]);
const SCOPE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?:(read|plan|apply|admin)$/;

/** Everything that Kubernetes, the service or the component itself would refuse. */
export function findings(name: string, args: OperationsApiArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  const { settings } = args;
  add('name', serviceNameProblem(name, LONGEST_NAME));
  const replicas = args.replicas ?? 2;
  if (!Number.isInteger(replicas) || replicas < 2) {
    add('replicas', `${replicas} is not enough: use 2 or more, so that an update and the loss of a node leave one`);
  }
  if (typeof args.image === 'string' && !/@sha256:[a-f0-9]{64}$/.test(args.image)) {
    add('image', `"${args.image}" is not by digest: expected "repository@sha256:…", as ImageBuild gives it`);
  }
  if (settings.port !== undefined) add('settings.port', portProblem(settings.port));
  if (settings.metricsPort !== undefined) add('settings.metricsPort', portProblem(settings.metricsPort));
  if (args.temporaryMemory !== undefined && !/^[1-9][0-9]*[KMG]i$/.test(args.temporaryMemory)) {
    add(
      'temporaryMemory',
      `"${args.temporaryMemory}" is not a size: use a whole number and Ki, Mi or Gi, such as "256Mi"`,
    );
  }
  if (settings.namespaces.length === 0) {
    add('settings.namespaces', 'is empty: name a namespace in which the service may write Secrets');
  }
  for (const [index, namespace] of settings.namespaces.entries()) {
    add(`settings.namespaces[${index}]`, labelProblem(namespace));
    if (settings.namespaces.indexOf(namespace) !== index) {
      add(`settings.namespaces[${index}]`, `"${namespace}" is named twice: keep one`);
    }
  }
  if (settings.issuers.length === 0) add('settings.issuers', 'is empty: nobody could call the service');
  environmentFindings(args, add);
  issuerFindings(args, add);
  for (const file of Object.keys(args.certificates ?? {})) {
    add(`certificates.${file}`, secretKeyProblem(file));
    if (file === 'settings.json') add(`certificates.${file}`, 'is the name of the settings: use another');
  }
  add('tracesEndpoint', endpointProblem(args.tracesEndpoint));
  if (Object.keys(args.clients).length === 0) add('clients', 'is empty: name the labels of the gateway');
  return found;
}

function endpointProblem(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined || (/^https?:\/\//.test(endpoint) && URL.canParse(endpoint))) return undefined;
  return `"${endpoint}" is not a URL such as "http://collector.monitoring:4318"`;
}

type Add = (path: string, problem: string | undefined) => void;

function environmentFindings({ settings, administrators }: OperationsApiArguments, add: Add): void {
  const names = Object.keys(settings.environments).sort();
  if (names.length === 0) add('settings.environments', 'is empty: name at least one');
  const variables = new Map<string, string>();
  for (const name of names) {
    const path = `settings.environments.${name}`;
    const environment = settings.environments[name];
    if (!environment) continue;
    add(path, labelProblem(name));
    add(`${path}.port`, portProblem(environment.port));
    if (!administrators[name]) add(`administrators.${name}`, 'is missing: give its name and password');
    for (const key of ['usernameVariable', 'passwordVariable'] as const) {
      const variable = environment[key];
      add(`${path}.${key}`, environmentVariableProblem(variable));
      if (OWN_VARIABLES.has(variable) || variable.startsWith('PG')) {
        add(`${path}.${key}`, `"${variable}" is set by the component: use another`);
      }
      const holder = variables.get(variable);
      if (holder) add(`${path}.${key}`, `"${variable}" is already that of ${holder}: use another`);
      variables.set(variable, `${path}.${key}`);
    }
  }
  for (const name of Object.keys(administrators)) {
    if (!settings.environments[name])
      add(`administrators.${name}`, 'is of no environment in the settings: take it out');
  }
}

function issuerFindings({ settings }: OperationsApiArguments, add: Add): void {
  for (const [index, issuer] of settings.issuers.entries()) {
    const path = `settings.issuers[${index}]`;
    if (!issuer.issuer.startsWith('https://')) {
      add(`${path}.issuer`, `"${issuer.issuer}" is no https URL: keys over plain HTTP could be anybody's`);
    }
    if (settings.issuers.findIndex((other) => other.issuer === issuer.issuer) !== index) {
      add(`${path}.issuer`, `"${issuer.issuer}" is named twice: keep one`);
    }
    if (issuer.audience === '') add(`${path}.audience`, 'is empty: tokens for others would be accepted');
    for (const [position, rule] of (issuer.rules ?? []).entries()) {
      if (Object.keys(rule.claims).length === 0) {
        add(`${path}.rules[${position}].claims`, 'is empty: the rule would match every token');
      }
      for (const scope of rule.scopes) {
        const known = SCOPE.test(scope) && settings.environments[scope.split(':')[0] ?? ''] !== undefined;
        if (!known)
          add(`${path}.rules[${position}].scopes`, `"${scope}" is no "<environment>:<read|plan|apply|admin>"`);
      }
    }
  }
}
