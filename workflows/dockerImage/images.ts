/** The images that the stack's outputs name. Pure. */

import { parseReference, type Reference } from '../../plugins/docker/reference.ts';
import { WorkflowError } from '../failure.ts';

export interface Image {
  readonly application: string;
  /** `main`, `migrations`, … */
  readonly target: string;
  /** `repository@sha256:…` */
  readonly text: string;
  /** With its registry, without tag and digest. */
  readonly repository: string;
  readonly reference: Reference;
}

/** By application and target: `repository@sha256:…`. What a deployment gets. */
export type ImageReferences = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** @throws WorkflowError when the outputs name no images: it is the stack of an environment, or of another program */
export function imagesOf(outputs: Readonly<Record<string, unknown>>, stack: string): Image[] {
  const applications = Object.entries((outputs.applications ?? {}) as Record<string, { images?: unknown }>);
  const images = applications.flatMap(([application, { images = {} }]) =>
    Object.entries(images as Record<string, string>).map(([target, text]) => {
      const reference = parseReference(text);
      return { application, target, text, repository: text.slice(0, text.indexOf('@')), reference };
    }),
  );
  if (images.length > 0) return images.sort((a, b) => (a.text < b.text ? -1 : 1));
  throw new WorkflowError(
    `the stack "${stack}" has no images`,
    `list at least one application in Pulumi.${stack}.yaml, and let it say "development-operations:stack: images"`,
  );
}

export function references(images: readonly Image[]): ImageReferences {
  const all: Record<string, Record<string, string>> = {};
  for (const { application, target, text } of images) all[application] = { ...all[application], [target]: text };
  return all;
}
