/** Which steps of a plan take something away that cannot be made again from the configuration. Pure. */

import type { Step } from '../../engineEvents/model.ts';

/** Types that hold data, with what is gone when they are. */
const DATA: Readonly<Record<string, string>> = {
  'postgresql:index/database:Database': 'every table in the database',
  'postgresql:index/schema:Schema': 'what is in the schema',
  'kubernetes:core/v1:Namespace': 'everything in the namespace, its volumes as well',
  'kubernetes:core/v1:PersistentVolumeClaim': 'what is on the volume',
  'kubernetes:core/v1:PersistentVolume': 'what is on the volume',
  'kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition': 'every object of the kind',
};

/** Statements that take data away, whatever the resource is. */
const DROPS = /^\s*(DROP\s+(DATABASE|SCHEMA|TABLE|EXTENSION\b.*\bCASCADE)|TRUNCATE)\b/i;

export interface Loss {
  readonly step: Step;
  /** What is gone: the end of "takes away …". */
  readonly what: string;
}

/** The steps that delete or replace what holds data. */
export function losses(steps: readonly Step[]): Loss[] {
  return steps.flatMap((step) => {
    if (step.operation === 'delete' || step.operation === 'replace') {
      const what = DATA[step.type];
      if (what) return [{ step, what }];
    }
    const statement = step.sql.find((text) => DROPS.test(text));
    return statement ? [{ step, what: 'data in the database' }] : [];
  });
}
