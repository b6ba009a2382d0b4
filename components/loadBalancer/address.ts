/** The part of a Service's status that holds its addresses. */
export interface ServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

/** The part of a port of a Service that says where it is reached. */
export interface ServicePort {
  readonly port: number;
  readonly nodePort?: number;
}

/** The first address that a load balancer was given; undefined while it has none. */
export function ingressAddress(status: ServiceStatus | undefined): string | undefined {
  const first = status?.loadBalancer?.ingress?.[0];
  return first?.ip || first?.hostname || undefined;
}
