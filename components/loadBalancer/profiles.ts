/** How a cluster gives addresses to Services, what that needs, and what to do where it is not there. */

export const PROFILES = ['minikube', 'kind', 'k3s', 'metallb', 'cloud', 'nodePort', 'local'] as const;

/**
 * - `minikube`: `minikube tunnel` on the machine of the cluster
 * - `kind`: cloud-provider-kind on the machine of the cluster
 * - `k3s`: ServiceLB, part of k3s and k3d
 * - `metallb`: MetalLB with a pool of addresses
 * - `cloud`: the cloud controller manager of a managed cluster
 * - `nodePort`: no load balancer; a port of every node
 * - `local`: the controller of this project's own local environment
 */
export type Profile = (typeof PROFILES)[number];

/** What was seen of a cluster. `undefined`: it could not be looked at. */
export interface Observation {
  readonly nodes?: readonly ObservedNode[];
  readonly metallb?: {
    /** Whether the namespace `metallb-system` exists. */
    readonly installed: boolean;
    readonly addressPools: number;
    /** L2Advertisements and BGPAdvertisements: without one, nobody is told of an address. */
    readonly advertisements: number;
  };
  /** Services of type LoadBalancer. */
  readonly services?: readonly ObservedService[];
  /** Whether `minikube tunnel` runs on this machine. */
  readonly tunnel?: boolean;
  /** Whether cloud-provider-kind runs on this machine. */
  readonly cloudProviderKind?: boolean;
}

export interface ObservedNode {
  readonly name: string;
  /** `spec.providerID`, such as `kind://docker/kind/kind-control-plane`; empty where nothing set it. */
  readonly providerId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it waits for a cloud controller manager (taint `node.cloudprovider.kubernetes.io/uninitialized`). */
  readonly uninitialized: boolean;
}

export interface ObservedService {
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly number[];
  readonly addressed: boolean;
}

/** The Service that is to get an address. */
export interface WantedService {
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly number[];
}

/** One thing that is missing, and what to do about it. */
export interface Lack {
  readonly reason: string;
  readonly cure: string;
}

/** What each profile needs, said without having looked. */
export const CURES: Readonly<Record<Profile, Lack>> = {
  minikube: {
    reason: 'minikube gives addresses to Services only while its tunnel runs',
    cure: 'run "minikube tunnel" in another terminal and leave it running (it asks for the password of sudo)',
  },
  kind: {
    reason: 'kind has no load balancer of its own',
    cure:
      'run cloud-provider-kind on the machine of the cluster (go install sigs.k8s.io/cloud-provider-kind@latest), ' +
      'or install MetalLB and use the profile metallb, or use the profile nodePort',
  },
  k3s: {
    reason: 'ServiceLB of k3s opens the ports of the Service on the nodes, where it is on and nobody else has them',
    cure:
      'see "kubectl get daemonsets,pods -n kube-system -l svccontroller.k3s.cattle.io/svcname": pods that are Pending ' +
      'miss a free port; where there are none, start k3s without --disable=servicelb',
  },
  metallb: {
    reason: 'MetalLB gives addresses from an IPAddressPool',
    cure:
      'see "kubectl get ipaddresspools,l2advertisements,bgpadvertisements -n metallb-system"; make or widen the pool, ' +
      'and advertise it',
  },
  cloud: {
    reason: 'the cloud controller manager makes the load balancer',
    cure:
      'see "kubectl describe service" for what it says (quota, permissions, subnets, annotations); in a cluster ' +
      'without one use the profile metallb or nodePort',
  },
  nodePort: {
    reason: 'a Service of type NodePort needs no address',
    cure: 'see "kubectl describe service": its selector must match pods that are ready',
  },
  local: {
    reason: 'the controller of the local environment gives the addresses',
    cure: 'run "npm run status" to see whether load-balancer is healthy, and "npm run up" to heal it',
  },
};

/** Where a providerID comes from; anything else with one is a cloud. */
function kindOfNode(node: ObservedNode): Profile | 'unknown' {
  if (Object.keys(node.labels).some((label) => label.startsWith('minikube.k8s.io/'))) return 'minikube';
  const scheme = /^([a-z0-9.+-]+):\/\//i.exec(node.providerId)?.[1];
  if (scheme === undefined) return 'unknown';
  return scheme === 'kind' || scheme === 'k3s' ? scheme : 'cloud';
}

/** Profiles that exist only on nodes of their own kind. */
const NODES_OF: ReadonlySet<Profile> = new Set(['minikube', 'kind', 'k3s']);

/**
 * What is missing for a Service of this profile to get an address; empty when nothing is known to be. What could not be
 * looked at is no finding.
 */
export function lacking(profile: Profile, wanted: WantedService, observed: Observation): Lack[] {
  const others = (observed.services ?? []).filter(
    ({ namespace, name }) => namespace !== wanted.namespace || name !== wanted.name,
  );
  return [...wrongProfile(profile, observed), ...CHECKS[profile](wanted, observed, others)];
}

type Check = (wanted: WantedService, observed: Observation, others: readonly ObservedService[]) => Lack[];

const CHECKS: Readonly<Record<Profile, Check>> = {
  minikube: (_wanted, { tunnel, metallb }, others) =>
    tunnel === false && metallb?.installed !== true && !others.some(({ addressed }) => addressed)
      ? [{ ...CURES.minikube, reason: '"minikube tunnel" does not run on this machine' }]
      : [],
  kind: (_wanted, { cloudProviderKind }, others) =>
    cloudProviderKind === false && !others.some(({ addressed }) => addressed)
      ? [{ ...CURES.kind, reason: 'cloud-provider-kind does not run on this machine' }]
      : [],
  k3s: (wanted, _observed, others) => takenPorts(wanted, others),
  metallb: (_wanted, { metallb }) => metallbLack(metallb),
  cloud: (_wanted, { nodes }) => cloudLack(nodes),
  nodePort: () => [],
  local: () => [],
};

function wrongProfile(profile: Profile, { nodes }: Observation): Lack[] {
  if (nodes === undefined || nodes.length === 0) return [];
  const kinds = new Set(nodes.map(kindOfNode));
  if (!NODES_OF.has(profile) || kinds.has(profile as 'kind')) return [];
  const seen = [...kinds].filter((kind) => kind !== 'unknown').sort();
  // Old versions of k3s and nodes that were joined by hand say nothing.
  if (seen.length === 0) return [];
  return [
    {
      reason: `the profile is ${profile}, but the nodes are of ${seen.join(' and ')}`,
      cure: `set the profile ${seen[0]}, or choose the other cluster`,
    },
  ];
}

/** ServiceLB takes ports of the nodes: Traefik, which k3s brings along, has 80 and 443. */
function takenPorts(wanted: WantedService, others: readonly ObservedService[]): Lack[] {
  return others
    .filter(({ addressed, ports }) => addressed && ports.some((port) => wanted.ports.includes(port)))
    .map(({ namespace, name, ports }) => {
      const shared = ports.filter((port) => wanted.ports.includes(port)).join(' and ');
      const traefik = namespace === 'kube-system' && name === 'traefik';
      return {
        reason: `the Service ${namespace}/${name} has port ${shared} of the nodes already`,
        cure: traefik
          ? 'start k3s with --disable=traefik (k3d: --k3s-arg "--disable=traefik@server:*"), or use the profile nodePort'
          : 'delete that Service or give it other ports, or use the profile nodePort',
      };
    });
}

function metallbLack(metallb: Observation['metallb']): Lack[] {
  if (metallb === undefined) return [];
  if (!metallb.installed) {
    return [
      {
        reason: 'there is no namespace metallb-system: MetalLB is not installed',
        cure: 'install it (https://metallb.io/installation/), then make an IPAddressPool and an L2Advertisement',
      },
    ];
  }
  if (metallb.addressPools === 0) {
    return [
      {
        reason: 'MetalLB has no IPAddressPool: it has no address to give',
        cure: 'make an IPAddressPool in metallb-system with free addresses of the network of the nodes',
      },
    ];
  }
  if (metallb.advertisements === 0) {
    return [
      {
        reason: 'MetalLB has neither an L2Advertisement nor a BGPAdvertisement: nobody can find its addresses',
        cure: 'make an L2Advertisement in metallb-system',
      },
    ];
  }
  return [];
}

function cloudLack(nodes: Observation['nodes']): Lack[] {
  if (nodes === undefined || nodes.length === 0) return [];
  const waiting = nodes.filter(({ uninitialized }) => uninitialized).map(({ name }) => name);
  if (waiting.length > 0) {
    return [
      {
        reason: `${waiting.sort().join(', ')}: the cloud controller manager has not initialised the node`,
        cure: 'see its pods in kube-system; without it no load balancer is made',
      },
    ];
  }
  const kinds = new Set(nodes.map(kindOfNode));
  if (kinds.has('cloud')) return [];
  const seen = [...kinds].filter((kind) => kind !== 'unknown').sort();
  if (seen.length > 0) {
    return [{ reason: `the nodes are of ${seen.join(' and ')}, not of a cloud`, cure: `set the profile ${seen[0]}` }];
  }
  return [
    {
      reason: 'no node has a providerID: no cloud controller manager looks after this cluster',
      cure: 'install the one of your cloud, or use the profile metallb or nodePort',
    },
  ];
}

/**
 * What a person reads when the Service has no address.
 *
 * @param lacks what was found missing; the profile's own needs are said when nothing was
 */
export function explainLack(profile: Profile, wanted: WantedService, lacks: readonly Lack[]): string {
  const said = lacks.length > 0 ? lacks : [CURES[profile]];
  const lines = said.map(({ reason, cure }) => `  - ${reason}\n    cure: ${cure}`);
  return `Service ${wanted.namespace}/${wanted.name} (profile ${profile}):\n${lines.join('\n')}`;
}
