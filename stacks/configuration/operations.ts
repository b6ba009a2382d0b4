import * as z from 'zod';
import { labelProblem, subdomainProblem } from '../../components/kubernetes/names.ts';
import { PROFILES } from '../../components/loadBalancer/profiles.ts';
import { images } from './images.ts';
import { type Environment, flag, integer, list, named, oneOf, reference, section, text } from './leaves.ts';

/** What is reached from outside the cluster: the gateway, the load balancer in front of it, and the operations API. */

/** nginx in the cluster. */
export function gateway(environment: Environment) {
  return section({
    /** nginx, 1.22 or later. */
    image: reference(environment, 'an image of nginx').default('docker.io/nginxinc/nginx-unprivileged:stable'),
    /** Name of the operations API's host, and the first of the certificate. */
    host: reference(environment, 'a host name such as "operations.example.com"', subdomainProblem),
    /** Paths of the certificate chain and of its private key in PEM, for all hosts. */
    certificateFile: reference(environment, 'the path of a certificate in PEM'),
    keyFile: reference(environment, 'the path of a private key in PEM'),
    replicas: integer('a number of replicas', 1, 100).default(2),
    /** Networks whose PROXY protocol is believed: where the outer nginx connects from, as the pods see it. */
    trustedProxies: list(text('a network such as "10.0.0.0/24"'), 'a list of networks').default([]),
    /** Routes beside those of the operations API, by name. */
    routes: named(route(environment), labelProblem).default({}),
    /** The Kubernetes API under a host of its own; it judges tokens itself. @default off */
    kubernetesApi: section({
      host: reference(environment, 'a host name such as "kubernetes.example.com"', subdomainProblem),
    }).optional(),
    timeoutSeconds: integer('seconds', 1, 86400).default(300),
  });
}

function route(environment: Environment) {
  return section({
    host: reference(environment, 'a host name such as "orders.example.com"', subdomainProblem),
    path: text('a path such as "/"').default('/'),
    /** Application whose Service it leads to. */
    application: text('the name of an application'),
    authentication: authentication(environment),
    /** For each client address and each pod of the gateway. @default none */
    rateLimit: section({
      requestsPerSecond: integer('requests in a second', 1, 100000),
      burst: integer('requests', 0, 100000).default(0),
    }).optional(),
    maxBodyBytes: integer('bytes', 1, 1073741824).optional(),
    timeoutSeconds: integer('seconds', 1, 86400).optional(),
    streaming: flag().default(false),
  });
}

/** Required: whether everyone may pass is said, not assumed. */
function authentication(environment: Environment) {
  return z.discriminatedUnion(
    'type',
    [
      section({ type: z.literal('none') }),
      section({ type: z.literal('basic'), usersFile: reference(environment, 'the path of a file of htpasswd(1)') }),
      section({ type: z.literal('oidc'), scopes: list(text('a scope'), 'a list of scopes').default([]) }),
      section({
        type: z.literal('mutualTls'),
        certificateAuthorityFile: reference(environment, 'the path of a certificate in PEM'),
        subjects: list(text('a distinguished name'), 'a list of subjects').optional(),
      }),
    ],
    { error: () => 'expected a mapping with "type": one of "none", "basic", "oidc", "mutualTls"' },
  );
}

/** How the gateway is reached from outside the cluster. */
export function loadBalancer(environment: Environment) {
  return section({
    /** What gives addresses to Services in this cluster. */
    profile: oneOf(PROFILES),
    annotations: z.record(z.string(), text('a text')).default({}),
    sourceRanges: list(text('a network such as "192.0.2.0/24"'), 'a list of networks').optional(),
    externalTrafficPolicy: oneOf(['Cluster', 'Local']).default('Cluster'),
    /** Address of a node; with the profile nodePort only. */
    nodeAddress: reference(environment, 'the address of a node').optional(),
    timeoutSeconds: integer('seconds', 1, 86400).default(300),
    /** The nginx on the machine in front of the cluster. @default none: clients reach the load balancer itself */
    outer: section({
      listenAddress: reference(environment, 'an IP address'),
      httpsPort: integer('a port', 1, 65535).default(443),
      httpPort: integer('a port', 1, 65535).default(80),
      publicPort: integer('a port', 1, 65535).optional(),
      streamModule: reference(environment, 'the path of ngx_stream_module.so').optional(),
    }).optional(),
  });
}

/** The service that makes databases on request. */
export function operationsApi(environment: Environment) {
  return section({
    images: images(environment).prefault({}),
    replicas: integer('a number of replicas', 2, 100).default(2),
    /** Runs of the engine at once in each replica. */
    concurrency: integer('a number of runs', 1, 32).default(2),
    /** Namespaces in which it may write Secrets. @default the stack's */
    namespaces: list(text('the name of a namespace', labelProblem), 'a list of namespaces').optional(),
    /** Whether the namespaces other than the stack's own are created, or exist. */
    createNamespaces: flag().default(false),
    issuers: list(issuer(environment), 'a list of issuers').min(
      1,
      'is empty: nobody could call it; name an issuer of tokens',
    ),
    /** Where spans are sent by OTLP over HTTP. @default none are recorded */
    tracesEndpoint: text('a URL such as "http://collector.monitoring:4318"', endpointProblem).optional(),
    resources: section({
      requests: z.record(z.string(), text('a quantity such as "100m"')).optional(),
      limits: z.record(z.string(), text('a quantity such as "1Gi"')).optional(),
    }).optional(),
    /** Refuse to delete its database and its keys. */
    protect: flag().default(true),
    timeoutSeconds: integer('seconds', 1, 86400).default(300),
  });
}

function issuer(environment: Environment) {
  return section({
    issuer: reference(environment, 'the URL of an OpenID Connect issuer', urlProblem),
    audience: text('the audience of its tokens for this service'),
    jwksUri: text('a URL', urlProblem).optional(),
    /** Path of the authority of its address, in PEM. @default the system's */
    certificateAuthorityFile: reference(environment, 'the path of a certificate in PEM').optional(),
    /** It is this cluster: service accounts' tokens are accepted, and its keys are read as a service account. */
    cluster: flag().default(false),
    /** Client without a secret with which people sign in to the console (PKCE). @default they paste tokens */
    consoleClientId: text('the id of a client of the issuer').optional(),
    /** Claim with scopes, parted by spaces. @default none: only rules give scopes */
    scopeClaim: text('the name of a claim').optional(),
    /** Namespaces for tokens with scopes of `scopeClaim`. */
    namespaces: list(text('a namespace, or "*"'), 'a list of namespaces').default([]),
    rules: list(
      section({
        claims: z.record(z.string(), text('a text, "*" for any part of it')),
        /** What its tokens may do in this environment; each holds those before it. */
        actions: list(oneOf(['read', 'plan', 'apply', 'admin']), 'a list of actions'),
        namespaces: list(text('a namespace, "own", or "*"'), 'a list of namespaces').default([]),
      }),
      'a list of rules',
    ).default([]),
  });
}

function endpointProblem(url: string): string | undefined {
  return /^https?:\/\//.test(url) && URL.canParse(url)
    ? undefined
    : `"${url}" is not a URL that starts with http:// or https://`;
}

function urlProblem(url: string): string | undefined {
  return url.startsWith('https://') && URL.canParse(url)
    ? undefined
    : `"${url}" is not a URL that starts with https://`;
}
