import { Role } from '@pulumi/postgresql/role.js';
import * as pulumi from '@pulumi/pulumi';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { refuse } from '../findings.ts';
import { identifierProblem } from '../postgres/identifiers.ts';
import type { AdministratorCredentials } from './operationsApi.ts';

export interface DatabaseAdministratorArguments {
  /** Name of the role in PostgreSQL. */
  readonly role: string;
  /** Most connections at once, -1 for no limit. @default -1 */
  readonly connectionLimit?: number;
}

/**
 * The role with which the operations API makes databases: it may create databases and roles, and owns what it creates.
 * It is no superuser, so databases and roles that others made are out of its reach.
 */
export class DatabaseAdministrator extends pulumi.ComponentResource implements AdministratorCredentials {
  readonly username: pulumi.Output<string>;
  /** Generated; secret. */
  readonly password: pulumi.Output<string>;

  /** @throws pulumi.RunError when the name is none of PostgreSQL. */
  constructor(name: string, args: DatabaseAdministratorArguments, options?: pulumi.ComponentResourceOptions) {
    const problem = identifierProblem('role', args.role);
    refuse(`DatabaseAdministrator "${name}"`, problem ? [{ path: 'role', problem }] : []);
    super('development-operations:operationsApi:DatabaseAdministrator', name, {}, options);
    const password = new RandomPassword(`${name}-password`, { length: 32, special: false }, { parent: this });
    const role = new Role(
      `${name}-role`,
      {
        name: args.role,
        login: true,
        createRole: true,
        createDatabase: true,
        superuser: false,
        password: password.result,
        connectionLimit: args.connectionLimit ?? -1,
      },
      { parent: this },
    );
    this.username = role.name;
    this.password = pulumi.secret(password.result);
    this.registerOutputs({ username: this.username });
  }
}
