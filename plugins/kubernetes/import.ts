/** Inputs of an object that no program has described yet: what a program would have to say to get it. */

import type { PropertyMap } from '../framework/values.ts';
import { isMap } from '../framework/values.ts';
import { LAST_APPLIED } from './annotations.ts';
import type { KubernetesObject } from './object.ts';
import { getMap } from './object.ts';

const SERVER_METADATA = ['creationTimestamp', 'generation', 'managedFields', 'resourceVersion', 'selfLink', 'uid'];
const SERVER_ANNOTATIONS = ['deployment.kubernetes.io/revision', LAST_APPLIED];

/** Everything but the status and what the server writes into metadata. */
export function inputsFromLive(live: KubernetesObject): KubernetesObject {
  const metadata: PropertyMap = Object.fromEntries(
    Object.entries(getMap(live, 'metadata')).filter(([key]) => !SERVER_METADATA.includes(key)),
  );
  if (isMap(metadata.annotations)) {
    metadata.annotations = Object.fromEntries(
      Object.entries(metadata.annotations).filter(([key]) => !SERVER_ANNOTATIONS.includes(key)),
    );
  }
  const { status: _, ...rest } = live;
  return { ...rest, metadata };
}
