/** What to do, and what to say, when the cluster does not answer. */

import type { Log, ReadRequest, ReadResult } from '../framework/provider.ts';
import type { Cluster } from './cluster.ts';
import type { ProviderConfig } from './config.ts';

/** The answer of a read for what is not there any more. */
export const GONE: ReadResult = { id: '', state: {}, inputs: {} };

const TITLES = {
  absent: 'There is no Kubernetes cluster',
  unreachable: 'The Kubernetes cluster is unreachable',
  refused: 'The Kubernetes cluster refused the credentials',
};

export class Reach {
  private warned = false;

  constructor(
    private readonly cluster: Cluster,
    private readonly config: ProviderConfig,
    private readonly log: Log,
  ) {}

  /** Probes once; warns once a connection, not once a resource. */
  async isReachable(urn: string): Promise<boolean> {
    const state = await this.cluster.probe();
    if (!state.reachable && !this.warned) {
      this.warned = true;
      this.log.warn(`${TITLES[state.cause]}: ${state.reason} Previews show the program's inputs only.`, urn);
    }
    return state.reachable;
  }

  /** @throws Error unless the configuration says what to do with resources that cannot be reached. */
  async read(request: ReadRequest): Promise<ReadResult> {
    if (this.config.deleteUnreachable) {
      this.log.warn('deleteUnreachable is set: removed from the state.', request.urn);
      return GONE;
    }
    if (this.config.skipUpdateUnreachable) {
      this.log.warn('skipUpdateUnreachable is set: the state is kept as it was.', request.urn);
      return { id: request.id, state: request.state, inputs: request.inputs };
    }
    throw await this.error('reading');
  }

  /** @throws Error unless deleteUnreachable is set. */
  async delete(urn: string): Promise<void> {
    if (!this.config.deleteUnreachable) throw await this.error('deleting');
    this.log.warn('deleteUnreachable is set: removed from the state only.', urn);
  }

  private async error(doing: string): Promise<Error> {
    const state = await this.cluster.probe();
    const reason = state.reachable ? '' : `${state.cause}: ${state.reason}`;
    return new Error(
      `${doing} needs the Kubernetes cluster, which is ${reason}\n` +
        'If the cluster is gone for good, remove its resources from the state by running the command again with ' +
        'PULUMI_K8S_DELETE_UNREACHABLE=true (or deleteUnreachable on the provider).',
    );
  }
}
