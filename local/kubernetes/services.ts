import type { Service } from '../service.ts';
import { apiServer } from './apiServer.ts';
import { clusterDns } from './clusterDns.ts';
import { containerd } from './containerd.ts';
import { controllerManager, scheduler } from './controllers.ts';
import { etcd } from './etcd.ts';
import { kubelet } from './kubelet.ts';
import { kubeProxy } from './kubeProxy.ts';
import { loadBalancer } from './loadBalancer.ts';

/** One node of real components. They need the service `network`. */
export function kubernetesServices(): Service[] {
  return [etcd, apiServer, controllerManager, scheduler, containerd, kubelet, kubeProxy, clusterDns, loadBalancer];
}
