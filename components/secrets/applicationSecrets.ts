import { Secret } from '@pulumi/kubernetes/core/v1/secret.js';
import * as pulumi from '@pulumi/pulumi';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { type Finding, refuse } from '../findings.ts';
import { keyedDigestOf } from '../kubernetes/fingerprint.ts';
import { environmentVariableProblem, subdomainProblem } from '../kubernetes/names.ts';

/** A secret that is made once and kept in the stack's state. */
export interface GeneratedSecret {
  /** Length in characters (letters and digits), 16 to 512. */
  readonly generate: number;
}

export interface ApplicationSecretsArguments {
  readonly namespace: pulumi.Input<string>;
  /** Name of the Kubernetes Secret. @default the component's name */
  readonly secretName?: string;
  /** Values by the name of the environment variable that carries them. */
  readonly values: Readonly<Record<string, pulumi.Input<string> | GeneratedSecret>>;
  /** Labels of the Secret. @default none */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A Secret as a workload uses it. */
export interface SecretReference {
  readonly name: pulumi.Output<string>;
  /** Changes with the values and tells nothing about them: an annotation with it makes pods roll. */
  readonly checksum: pulumi.Output<string>;
}

/** The secrets of one application in one Kubernetes Secret, for `envFrom`. */
export class ApplicationSecrets extends pulumi.ComponentResource {
  readonly secret: SecretReference;

  /** @throws pulumi.RunError with every invalid argument. */
  constructor(name: string, args: ApplicationSecretsArguments, options?: pulumi.ComponentResourceOptions) {
    refuse(`ApplicationSecrets "${name}"`, findings(name, args));
    super('development-operations:secrets:ApplicationSecrets', name, {}, options);
    const values = this.resolve(name, args.values);
    const secret = new Secret(
      `${name}-secret`,
      {
        metadata: { name: args.secretName ?? name, namespace: args.namespace, labels: args.labels },
        type: 'Opaque',
        data: base64Values(values),
      },
      { parent: this },
    );
    this.secret = { name: secret.metadata.name, checksum: this.checksum(name, values) };
    this.registerOutputs({ secret: this.secret });
  }

  private resolve(name: string, values: ApplicationSecretsArguments['values']): Record<string, pulumi.Output<string>> {
    const resolved: Record<string, pulumi.Output<string>> = {};
    for (const key of Object.keys(values).sort()) {
      const value = values[key];
      if (value === undefined) continue;
      resolved[key] = isGenerated(value) ? this.generate(`${name}-${key}`, value.generate) : pulumi.secret(value);
    }
    return resolved;
  }

  private generate(name: string, length: number): pulumi.Output<string> {
    return new RandomPassword(name, { length, special: false }, { parent: this }).result;
  }

  /** The key is generated and stays secret: see keyedDigestOf. */
  private checksum(name: string, values: Record<string, pulumi.Output<string>>): pulumi.Output<string> {
    const key = this.generate(`${name}-checksum-key`, 64);
    return pulumi.unsecret(pulumi.all([key, pulumi.all(values)]).apply(([secret, all]) => keyedDigestOf(secret, all)));
  }
}

/** The values as a Secret's `data` wants them. */
export function base64Values(
  values: Readonly<Record<string, pulumi.Input<string>>>,
): Record<string, pulumi.Output<string>> {
  return Object.fromEntries(
    Object.keys(values)
      .sort()
      .map((key) => [key, pulumi.output(values[key]).apply((value) => Buffer.from(value ?? '').toString('base64'))]),
  );
}

/** Whether the value is to be generated. */
export function isGenerated(value: pulumi.Input<string> | GeneratedSecret): value is GeneratedSecret {
  return typeof value === 'object' && value !== null && !pulumi.Output.isInstance(value) && 'generate' in value;
}

function findings(name: string, args: ApplicationSecretsArguments): Finding[] {
  const found: Finding[] = [];
  const add = (path: string, problem: string | undefined) => problem && found.push({ path, problem });
  add('secretName', subdomainProblem(args.secretName ?? name));
  if (Object.keys(args.values).length === 0) add('values', 'is empty: leave the component out, or name a secret');
  for (const [key, value] of Object.entries(args.values)) {
    add(`values.${key}`, environmentVariableProblem(key));
    if (isGenerated(value)) add(`values.${key}.generate`, lengthProblem(value.generate));
    if (value === '') add(`values.${key}`, 'is empty: give the secret a value');
  }
  return found;
}

function lengthProblem(length: number): string | undefined {
  if (Number.isInteger(length) && length >= 16 && length <= 512) return undefined;
  return `${length} is not a length: use a whole number from 16 to 512`;
}
