import { baseImages } from './baseImages.ts';
import { docker } from './docker.ts';
import { isNodeOwner } from './facts.ts';
import { issuer } from './issuer.ts';
import { kubernetesServices, nodeServices } from './kubernetes/services.ts';
import { network } from './network.ts';
import { outerNginx } from './outerNginx.ts';
import { pluginHost } from './pluginHost.ts';
import { postgres } from './postgres.ts';
import { registry } from './registry.ts';
import { type Context, LocalError, type Service } from './service.ts';

/**
 * Every part of the environment, in an order in which they can start. The cluster is a node of our own, or the one
 * service `cluster` where another was chosen or is the only way.
 */
export function services(): Service[] {
  const interfaces = isNodeOwner() ? [network] : [];
  return inOrder([
    ...interfaces,
    ...kubernetesServices(),
    postgres,
    registry,
    docker,
    baseImages,
    pluginHost,
    issuer,
    outerNginx,
  ]);
}

/** Names of all services that may run as processes here, whatever cluster is chosen. */
export function serviceNames(): ReadonlySet<string> {
  return new Set([...services(), ...nodeServices].map(({ name }) => name));
}

/**
 * Sorted so that each comes after what it depends on.
 *
 * @throws Error for a name that is not there, or a circle
 */
export function inOrder(list: readonly Service[]): Service[] {
  const sorted: Service[] = [];
  const visit = (service: Service, path: readonly string[]) => {
    if (sorted.includes(service)) return;
    if (path.includes(service.name))
      throw new Error(`services depend in a circle: ${[...path, service.name].join(' → ')}`);
    for (const name of service.dependsOn) {
      const dependency = list.find((candidate) => candidate.name === name);
      if (dependency === undefined) throw new Error(`${service.name} depends on ${name}, which is no service`);
      visit(dependency, [...path, service.name]);
    }
    sorted.push(service);
  };
  for (const service of list) visit(service, []);
  return sorted;
}

/**
 * Starts services, each as soon as what it depends on runs, independent ones at the same time.
 *
 * @throws LocalError with every failure, after all that could start have started
 */
export async function startAll(ctx: Context, list: readonly Service[]): Promise<void> {
  const started = new Map<string, Promise<boolean>>();
  const failures: string[] = [];
  for (const service of inOrder(list)) {
    const dependencies = service.dependsOn.map((name) => started.get(name));
    started.set(
      service.name,
      (async () => {
        const ready = await Promise.all(dependencies);
        if (ready.includes(false)) return false;
        try {
          await ctx.progress.step(service.name, () => service.start(ctx));
          return true;
        } catch (error) {
          if (process.env.DEBUG) console.error(error);
          failures.push(error instanceof Error ? error.message : String(error));
          return false;
        }
      })(),
    );
  }
  await Promise.all(started.values());
  if (failures.length > 0) throw new LocalError(failures.join('\n'));
}

/** Stops services, each after what depends on it; goes on after a failure and reports all of them. */
export async function stopAll(ctx: Context, list: readonly Service[]): Promise<void> {
  const failures: string[] = [];
  const stopped = new Map<string, Promise<void>>();
  const ordered = inOrder(list).reverse();
  for (const service of ordered) {
    const dependents = ordered
      .filter((candidate) => candidate.dependsOn.includes(service.name))
      .map((candidate) => stopped.get(candidate.name));
    stopped.set(
      service.name,
      (async () => {
        await Promise.all(dependents);
        try {
          await ctx.progress.step(`stopping ${service.name}`, () => service.stop(ctx));
        } catch (error) {
          failures.push(error instanceof Error ? error.message : String(error));
        }
      })(),
    );
  }
  await Promise.all(stopped.values());
  if (failures.length > 0) throw new LocalError(failures.join('\n'));
}
