/** Graphviz source as a picture. */

import { instance } from '@viz-js/viz';

/**
 * @param dot Graphviz source
 * @param title for screen readers: Graphviz gives a title to the drawing's parts, but none to the whole
 */
export async function drawSvg(dot: string, title: string): Promise<string> {
  const viz = await instance();
  const svg = viz.renderString(dot, { format: 'svg' });
  return svg.replace(/<svg [^>]*>/, (start) => `${start}\n<title>${title}</title>`);
}
