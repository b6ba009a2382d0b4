import type { App } from './types.ts';

/**
 * Which methods a path has, for `Allow` in the answer 405 (RFC 9110, section 15.5.6): the router only knows whether a
 * method and a path fit. Counts the routes that come after it.
 */
export function collectMethods(app: App): (path: string) => string[] {
  const routes: { readonly pattern: RegExp; readonly method: string }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    if (!url.startsWith('/v1/')) return;
    const pattern = new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`);
    for (const one of [method].flat()) routes.push({ pattern, method: one });
  });
  return (path) => [...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].sort();
}
