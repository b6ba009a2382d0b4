import { runController } from './controller.ts';

/** The process of the service `load-balancer`: `main.ts <kubeconfig> <volumes> <heartbeat>`. */
const [kubeconfig, volumes, heartbeat] = process.argv.slice(2);
if (kubeconfig === undefined || volumes === undefined || heartbeat === undefined) {
  throw new Error('usage: main.ts <kubeconfig> <volumes> <heartbeat>');
}
const abort = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => abort.abort());
await runController({ kubeconfig, volumes, heartbeat, signal: abort.signal });
process.exit(0);
