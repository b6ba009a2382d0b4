/** The page of the run: each image, what was done about it, and how to name it. Pure. */

import type { Image } from './images.ts';

export type Done = 'built' | 'unchanged';

export interface ReportedImage extends Image {
  readonly done: Done;
}

export function report(images: readonly ReportedImage[], version: string, seconds: number): string {
  const built = images.filter(({ done }) => done === 'built').length;
  const rows = images.map(
    ({ application, target, done, text, repository }) =>
      `| ${application} | ${target} | ${done} | \`${repository}:${version}\` | \`${text.slice(text.indexOf('@') + 1)}\` |`,
  );
  return [
    `### Images of version \`${version}\``,
    '',
    `${built} built, ${images.length - built} unchanged, in ${seconds.toFixed(1)} s.`,
    '',
    '| application | image | | tag | digest |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
