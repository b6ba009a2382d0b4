/** The resource types by token: what they are made of, and what makes them. */

import * as definitions from './definitions.ts';
import { database } from './resources/database.ts';
import { defaultPrivileges } from './resources/defaultPrivileges.ts';
import { extension } from './resources/extension.ts';
import { grant } from './resources/grant.ts';
import { grantRole } from './resources/grantRole.ts';
import type { Handler } from './resources/handler.ts';
import { role } from './resources/role.ts';
import { schema } from './resources/schema.ts';

export interface ResourceType {
  readonly definition: definitions.Definition;
  readonly handler: Handler;
}

const DEFAULT_PRIVILEGES: ResourceType = { definition: definitions.defaultPrivileges, handler: defaultPrivileges };

/** `DefaultPrivileg` is the former name of `DefaultPrivileges`. */
export const TYPES: Readonly<Record<string, ResourceType>> = {
  'postgresql:index/database:Database': { definition: definitions.database, handler: database },
  'postgresql:index/defaultPrivileg:DefaultPrivileg': DEFAULT_PRIVILEGES,
  'postgresql:index/defaultPrivileges:DefaultPrivileges': DEFAULT_PRIVILEGES,
  'postgresql:index/extension:Extension': { definition: definitions.extension, handler: extension },
  'postgresql:index/grant:Grant': { definition: definitions.grant, handler: grant },
  'postgresql:index/grantRole:GrantRole': { definition: definitions.grantRole, handler: grantRole },
  'postgresql:index/role:Role': { definition: definitions.role, handler: role },
  'postgresql:index/schema:Schema': { definition: definitions.schema, handler: schema },
};
