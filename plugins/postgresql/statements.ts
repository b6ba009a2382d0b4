/** What a step of a plan will tell the server, rendered by the same functions that the handlers run. Pure. */

import type { PropertyMap, PropertyValue } from '../framework/values.ts';
import { DEFAULTS_KEY } from './check.ts';
import * as definitions from './definitions.ts';
import { planned } from './diff.ts';
import { boolean, text } from './plain.ts';
import { databaseAttributes } from './resources/database.ts';
import { defaultChange } from './resources/defaultPrivileges.ts';
import { extensionAttributes } from './resources/extension.ts';
import { grantChange } from './resources/grant.ts';
import { membershipOf } from './resources/grantRole.ts';
import { roleAttributes } from './resources/role.ts';
import { policies, removed, schemaAttributes } from './resources/schema.ts';
import {
  alterDatabaseSql,
  createDatabaseSql,
  dropDatabaseSql,
  isTemplateSql,
  reassignOwnedSql,
} from './sql/database.ts';
import {
  convergeDefaultSql,
  convergeGrantSql,
  type DefaultPrivilegeChange,
  type GrantChange,
  type LiveTarget,
  revokeDefaultSql,
  takeGrantSql,
} from './sql/grant.ts';
import { allPrivileges, expandPrivileges } from './sql/privileges.ts';
import { InputError, PUBLIC } from './sql/quote.ts';
import { alterRoleSql, createRoleSql, dropRoleSql, grantRoleSql, releaseRoleSql, revokeRoleSql } from './sql/role.ts';
import {
  alterExtensionSql,
  alterSchemaSql,
  createExtensionSql,
  createSchemaSql,
  dropExtensionSql,
  dropSchemaSql,
  grantPolicySql,
  revokePolicySql,
} from './sql/schema.ts';
import { TYPES } from './types.ts';

export interface PlannedStep {
  /** Type token, such as `postgresql:index/role:Role`. */
  readonly type: string;
  readonly operation: 'create' | 'update' | 'replace' | 'delete';
  /** Inputs as the engine shows them: a secret is `[secret]` or marked as one, what is known only later its mark. */
  readonly olds: Readonly<Record<string, unknown>>;
  readonly news: Readonly<Record<string, unknown>>;
  /** Names of the properties that change. A secret that changes looks like one that does not, without them. */
  readonly diffs?: readonly string[];
}

/** What stands in a statement for a value that is known only later. */
const UNKNOWN_TEXT = '[unknown]';
const SECRET_TEXT = '[secret]';
/** The engine's mark: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go */
const UNKNOWN_MARK = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
/** Marks a special value: sdk/go/common/resource/sig. */
const SIGNATURE = '4dabf18193072939515e22adb298388d';
/** Where a list of privileges says ALL, those of the newest server are written out. */
const NEWEST = Number.POSITIVE_INFINITY;

/**
 * The statements of one step, in the order in which they are sent; none for another provider's type.
 *
 * Only the inputs are known here. What a handler makes of the server's state besides is left out: the memberships that
 * an administrator without SUPERUSER takes for the time of a statement, the release of a role in further databases.
 * Privileges that PostgreSQL gives by itself are thought to be as they are on a new object.
 */
export function plannedStatements(step: PlannedStep): string[] {
  const found = TYPES[step.type];
  const renderer = found && RENDERERS.get(found.definition);
  if (!found || !renderer) return [];
  const { definition } = found;
  const oldInputs = readable(step.olds) as PropertyMap;
  const newInputs = readable(step.news) as PropertyMap;
  const olds = planned(definition, {}, oldInputs);
  const news = planned(definition, step.operation === 'update' ? olds : {}, newInputs, oldInputs);
  try {
    switch (step.operation) {
      case 'create':
        return renderer.create(news);
      case 'update':
        return renderer.update(olds, news, step.diffs);
      case 'delete':
        return renderer.delete(olds);
      case 'replace': {
        const before = definition.deleteBeforeReplace || isNamed(newInputs);
        const [create, remove] = [renderer.create(news), renderer.delete(olds)];
        return before ? [...remove, ...create] : [...create, ...remove];
      }
    }
  } catch (error) {
    // Of a value that is known only later there may be nothing to render, such as a number.
    if (error instanceof InputError) return [UNKNOWN_TEXT];
    throw error;
  }
}

/** A name that was chosen cannot be taken twice, so that the old one goes first. */
function isNamed(inputs: PropertyMap): boolean {
  const defaults = inputs[DEFAULTS_KEY];
  return inputs.name !== undefined && !(Array.isArray(defaults) && defaults.includes('name'));
}

function readable(value: unknown): PropertyValue {
  if (value === UNKNOWN_MARK) return UNKNOWN_TEXT;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value === 'object' && value !== null) {
    // In the engine's events a secret is marked, and its value left out.
    if (SIGNATURE in value) return SECRET_TEXT;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, readable(inner)]));
  }
  return (value ?? null) as PropertyValue;
}

interface Renderer {
  create(values: PropertyMap): string[];
  update(olds: PropertyMap, values: PropertyMap, diffs?: readonly string[]): string[];
  delete(values: PropertyMap): string[];
}

const role: Renderer = {
  create: (values) => createRoleSql(roleAttributes(values), password(values)),
  update(olds, values, diffs) {
    const before = roleAttributes(olds);
    const next = roleAttributes(values);
    const attributes = { ...next, roles: values.roles === null ? before.roles : next.roles };
    const without = alterRoleSql(before, attributes);
    // Without a list of what changes, a step that changes nothing else is there for its password.
    const changed = diffs
      ? diffs.some((name) => name === 'password' || name === 'passwordWoVersion')
      : text(olds, 'password') !== text(values, 'password') ||
        text(olds, 'passwordWoVersion') !== text(values, 'passwordWoVersion') ||
        without.length === 0;
    return changed ? alterRoleSql(before, attributes, password(values)) : without;
  },
  delete(values) {
    const name = text(values, 'name');
    const released = boolean(values, 'skipReassignOwned') ? [] : releaseRoleSql(name);
    return boolean(values, 'skipDropRole') ? released : [...released, dropRoleSql(name)];
  },
};

/** `PASSWORD NULL` is no secret. */
function password(values: PropertyMap): string | null | undefined {
  const given = text(values, 'passwordWo') || text(values, 'password');
  if (given === '') return undefined;
  return given.toUpperCase() === 'NULL' ? null : SECRET_TEXT;
}

const database: Renderer = {
  create: (values) => [createDatabaseSql(databaseAttributes(values))],
  update(olds, values) {
    const before = databaseAttributes(olds);
    const next = databaseAttributes(values);
    const owners = boolean(values, 'alterObjectOwnership') && before.owner && next.owner && before.owner !== next.owner;
    const reassigned = owners ? [reassignOwnedSql(before.owner ?? '', next.owner ?? '')] : [];
    return [...reassigned, ...alterDatabaseSql(before, next)];
  },
  delete(values) {
    const name = text(values, 'name');
    const template = boolean(values, 'isTemplate') ? [isTemplateSql(name, false)] : [];
    return [...template, dropDatabaseSql(name, true)];
  },
};

const schema: Renderer = {
  create(values) {
    const { name, owner } = schemaAttributes(values);
    return [createSchemaSql({ name, owner }), ...policies(values).flatMap((policy) => grantPolicySql(name, policy))];
  },
  update(olds, values) {
    const next = schemaAttributes(values);
    return [
      ...alterSchemaSql(schemaAttributes(olds), next),
      ...removed(policies(olds), policies(values)).map((policy) => revokePolicySql(next.name, policy)),
      ...policies(values).flatMap((policy) => grantPolicySql(next.name, policy)),
    ];
  },
  delete: (values) => [dropSchemaSql(text(values, 'name'), boolean(values, 'dropCascade'))],
};

const extension: Renderer = {
  create: (values) => [createExtensionSql(extensionAttributes(values))],
  update: (olds, values) => alterExtensionSql(extensionAttributes(olds), extensionAttributes(values)),
  delete: (values) => [dropExtensionSql(text(values, 'name'), boolean(values, 'dropCascade'))],
};

const grantRole: Renderer = {
  create: (values) => [grantRoleSql(membershipOf(values))],
  // Every property asks for a replacement.
  update: () => [],
  delete: (values) => [revokeRoleSql(membershipOf(values))],
};

const grant: Renderer = {
  create(values) {
    const { privileges, ...rest } = grantChange(values);
    return convergeGrantSql(rest, targets(rest, given(rest)), expandPrivileges(rest.objectType, privileges, NEWEST));
  },
  update(olds, values) {
    const { privileges, ...rest } = grantChange(values);
    return convergeGrantSql(rest, granted(olds), expandPrivileges(rest.objectType, privileges, NEWEST));
  },
  delete(values) {
    const { privileges, ...rest } = grantChange(values);
    return takeGrantSql(rest, granted(values), expandPrivileges(rest.objectType, privileges, NEWEST));
  },
};

function granted(values: PropertyMap): LiveTarget[] {
  const { privileges, ...rest } = grantChange(values);
  const expanded = expandPrivileges(rest.objectType, privileges, NEWEST);
  return targets(rest, expanded, rest.withGrantOption ? expanded : []);
}

function targets(
  { objectType, objects, columns = [] }: Omit<GrantChange, 'privileges'>,
  privileges: readonly string[],
  grantable: readonly string[] = [],
): LiveTarget[] {
  const named = objectType === 'column' ? columns : objects;
  return [...new Set(named.length === 0 ? [''] : named)].sort().map((object) => ({ object, privileges, grantable }));
}

/** What PUBLIC has on a new object (PostgreSQL documentation 5.8), and on the schema "public" (since 15). */
function given({ objectType, role: grantee, schema: name }: Omit<GrantChange, 'privileges'>): string[] {
  if (grantee !== PUBLIC) return [];
  if (objectType === 'database') return ['CONNECT', 'TEMPORARY'];
  if (objectType === 'schema') return name === 'public' ? ['USAGE'] : [];
  return ROUTINES.has(objectType) ? ['EXECUTE'] : [];
}

const ROUTINES: ReadonlySet<string> = new Set(['function', 'procedure', 'routine']);

const defaultPrivileges: Renderer = {
  create(values) {
    const { privileges, ...rest } = defaultChange(values);
    return convergeDefaultSql(rest, givenDefaults(rest), expandPrivileges(rest.objectType, privileges, NEWEST));
  },
  update(olds, values) {
    const before = defaultChange(olds);
    const { privileges, ...rest } = defaultChange(values);
    const live = expandPrivileges(rest.objectType, before.privileges, NEWEST);
    const grantable = before.withGrantOption ? live : [];
    const wanted = expandPrivileges(rest.objectType, privileges, NEWEST);
    return convergeDefaultSql(rest, { privileges: live, grantable }, wanted);
  },
  delete(values) {
    const { privileges, ...rest } = defaultChange(values);
    const taken = expandPrivileges(rest.objectType, privileges, NEWEST);
    return taken.length === 0 ? [] : [revokeDefaultSql({ ...rest, privileges: taken })];
  },
};

/** Without an entry for the whole database, PostgreSQL's own defaults hold. */
function givenDefaults({ objectType, role: grantee, owner, schema: name }: Omit<DefaultPrivilegeChange, 'privileges'>) {
  if (name !== undefined) return { privileges: [], grantable: [] };
  if (grantee === owner) return { privileges: allPrivileges(objectType, NEWEST), grantable: [] };
  if (grantee !== PUBLIC) return { privileges: [], grantable: [] };
  if (objectType === 'type') return { privileges: ['USAGE'], grantable: [] };
  return { privileges: ROUTINES.has(objectType) ? ['EXECUTE'] : [], grantable: [] };
}

const RENDERERS: ReadonlyMap<definitions.Definition, Renderer> = new Map([
  [definitions.database, database],
  [definitions.defaultPrivileges, defaultPrivileges],
  [definitions.extension, extension],
  [definitions.grant, grant],
  [definitions.grantRole, grantRole],
  [definitions.role, role],
  [definitions.schema, schema],
]);
