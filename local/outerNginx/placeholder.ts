/** What the placeholder's `/healthz` answers. */
export const NOT_DEPLOYED = 'not deployed yet';

export interface PlaceholderOptions {
  readonly listenAddress: string;
  readonly httpsPort: number;
  readonly httpPort: number;
}

/**
 * The configuration before the first deployment: every request is told that nothing is there yet, on both ports.
 * The certificate is in `tls/` of nginx's directory.
 */
export function renderPlaceholder({ listenAddress, httpsPort, httpPort }: PlaceholderOptions): string {
  const problem = JSON.stringify({
    type: 'about:blank',
    title: 'Not deployed yet',
    status: 503,
    detail: 'The cluster has no gateway yet: run npm run up',
  });
  return `worker_processes 1;
pid run/nginx.pid;
error_log stderr notice;

events {
  worker_connections 256;
}

http {
  access_log off;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
  server_tokens off;
  default_type application/problem+json;

  server {
    listen ${listenAddress}:${httpPort};
    listen ${listenAddress}:${httpsPort} ssl;
    ssl_certificate tls/tls.crt;
    ssl_certificate_key tls/tls.key;
    add_header Retry-After 30 always;
    location = /healthz {
      default_type text/plain;
      return 200 "${NOT_DEPLOYED}\\n";
    }
    location / {
      return 503 '${problem}\\n';
    }
  }
}
`;
}
