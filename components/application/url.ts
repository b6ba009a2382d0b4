/** The part of a Service's status that holds its addresses. */
export interface ServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

export interface ServiceAddress {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  readonly port: number;
  /** Undefined in a preview that creates the Service. */
  readonly status: ServiceStatus | undefined;
}

/**
 * The address at which a Service answers: its load balancer's from outside, else its name inside the cluster.
 *
 * @returns undefined while a load balancer has no address.
 */
export function serviceUrl(service: ServiceAddress): string | undefined {
  const host = service.type === 'LoadBalancer' ? ingressHost(service.status) : clusterHost(service);
  if (host === undefined) return undefined;
  return service.port === 80 ? `http://${host}` : `http://${host}:${service.port}`;
}

function ingressHost(status: ServiceStatus | undefined): string | undefined {
  const first = status?.loadBalancer?.ingress?.[0];
  const host = first?.hostname || first?.ip;
  if (!host) return undefined;
  return host.includes(':') ? `[${host}]` : host;
}

function clusterHost(service: ServiceAddress): string {
  return `${service.name}.${service.namespace ?? 'default'}.svc`;
}
