/** Where an environment is, for the people who use it. Pure. */

import { codeSpan } from '../report/text.ts';

interface ApplicationOutput {
  readonly url?: unknown;
  readonly images?: Readonly<Record<string, unknown>>;
}

export interface Place {
  /** Application, or `gateway`. */
  readonly name: string;
  readonly url: string;
}

/** The addresses among the stack's outputs, sorted by name. */
export function placesOf(outputs: Readonly<Record<string, unknown>>): Place[] {
  const applications = Object.entries((outputs.applications ?? {}) as Record<string, ApplicationOutput>);
  const gateway = (outputs.gateway as ApplicationOutput | undefined)?.url;
  const all = [...applications.map(([name, { url }]) => [name, url] as const), ['gateway', gateway] as const];
  return all
    .flatMap(([name, url]) => (typeof url === 'string' && url !== '' ? [{ name, url }] : []))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The images that run, as `application target: repository@sha256:…`. */
export function imagesOf(outputs: Readonly<Record<string, unknown>>): string[] {
  const applications = Object.entries((outputs.applications ?? {}) as Record<string, ApplicationOutput>);
  return applications
    .flatMap(([name, { images = {} }]) =>
      Object.entries(images).map(([target, image]) => `${name} ${target}: ${image}`),
    )
    .sort();
}

/** A table of the addresses, and the images in a list that is folded. */
export function placesMarkdown(outputs: Readonly<Record<string, unknown>>): string {
  const places = placesOf(outputs);
  const rows = places.map(({ name, url }) => `| ${codeSpan(name)} | ${link(url)} |`);
  const table = rows.length === 0 ? [] : ['| what | where |', '| --- | --- |', ...rows, ''];
  const images = imagesOf(outputs).map((image) => `- ${codeSpan(image, 400)}`);
  const list = images.length === 0 ? [] : ['<details><summary>Images</summary>', '', ...images, '', '</details>', ''];
  return [...table, ...list].join('\n');
}

function link(url: string): string {
  return /^https?:\/\/[\w.:[\]-]+(\/[\w./-]*)?$/.test(url) ? `<${url}>` : codeSpan(url);
}
