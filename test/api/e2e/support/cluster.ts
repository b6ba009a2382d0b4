/** Pods of the deployment, and the processes in them: they run on this machine. */

import { readdirSync, readFileSync } from 'node:fs';
import { kubectl } from './local.ts';

export interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
  };
}

/** Names of the Deployments. */
export const API = 'operations-api';
export const GATEWAY = 'gateway';

/** The pods of a Deployment that run. */
export async function podsOf(deployment: string): Promise<Pod[]> {
  const { spec } = JSON.parse(await kubectl(['get', 'deployment', deployment, '-o', 'json'])) as {
    spec: { selector: { matchLabels: Record<string, string> } };
  };
  const labels = Object.entries(spec.selector.matchLabels).map(([key, value]) => `${key}=${value}`);
  const { items } = JSON.parse(await kubectl(['get', 'pods', '-l', labels.join(','), '-o', 'json'])) as {
    items: Pod[];
  };
  return items.filter(({ status }) => status.phase === 'Running');
}

const namesOf = async (deployment: string) => (await podsOf(deployment)).map(({ metadata }) => metadata.name);
export const apiPods = (): Promise<string[]> => namesOf(API);
export const gatewayPods = (): Promise<string[]> => namesOf(GATEWAY);

export interface PodProcess {
  readonly pid: number;
  readonly pod: string;
  readonly command: readonly string[];
}

/** The processes of some pods as the machine sees them: the control group of each names its pod (cgroups(7)). */
export function processesOf(pods: readonly Pod[]): PodProcess[] {
  const names = new Map(pods.map(({ metadata }) => [metadata.uid.replaceAll('-', ''), metadata.name]));
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry): PodProcess[] => {
      try {
        const uid = /pod([0-9a-f]{8}[-_0-9a-f]{28})/.exec(readFileSync(`/proc/${entry}/cgroup`, 'utf8'))?.[1];
        const pod = names.get((uid ?? '').replaceAll(/[-_]/g, ''));
        if (pod === undefined) return [];
        const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0').filter(Boolean);
        return [{ pid: Number(entry), pod, command }];
      } catch {
        // Ended meanwhile.
        return [];
      }
    });
}

/** The service's own process in a pod. */
export function isServer({ command }: PodProcess): boolean {
  return command.some((part) => part.endsWith('server.mjs'));
}

/** A run of the engine. */
export function isEngine({ command }: PodProcess): boolean {
  return (command[0] ?? '').split('/').at(-1) === 'pulumi';
}

/** Waits until a Deployment has all its pods, and they are ready. */
export async function rolledOut(deployment: string, seconds = 120): Promise<void> {
  await kubectl(['rollout', 'status', `deployment/${deployment}`, `--timeout=${seconds}s`]);
}
