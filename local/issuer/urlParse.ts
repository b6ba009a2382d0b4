/** `URL.parse` for Node.js 20, which oidc-provider calls: https://url.spec.whatwg.org/#dom-url-parse */

interface UrlParse {
  parse?: (url: string, base?: string) => URL | null;
}

(URL as unknown as UrlParse).parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
