/** A stand-in of GitHub's REST API on loopback, as far as the flows call it. Its state is in memory, for tests to read. */

import Fastify, { type FastifyInstance } from 'fastify';
import { artifactRoutes } from './github/actions.ts';
import { gitRoutes } from './github/git.ts';
import { issueRoutes } from './github/issues.ts';
import { pullRoutes } from './github/pulls.ts';
import { emptyState, type GitHubState, type Grants, type Recorded } from './github/state.ts';

export interface GitHubOptions {
  /** owner/name. @default example/orders */
  readonly repository?: string;
  /** Tokens with what each may do. @default `{ 'token-of-the-run': {everything: 'write'} }`, see `TOKEN` */
  readonly tokens?: Readonly<Record<string, Grants>>;
  /** Folder of artifacts by run and name (`Application.artifacts`). @default none */
  readonly artifacts?: string;
}

export interface GitHubStandIn {
  /** For GITHUB_API_URL. */
  readonly url: string;
  /** What there is; tests read it, and may put something into it. */
  readonly state: GitHubState;
  /** Every request in order, refused ones too. */
  readonly requests: readonly Recorded[];
  /** Requests of a method whose path matches. */
  requested(method: string, path: RegExp): Recorded[];
  /**
   * Answers the next `times` matching requests with this status instead.
   *
   * @param times default: all
   */
  fail(method: string, path: RegExp, status: number, times?: number): void;
  stop(): Promise<void>;
}

/** The token that the stand-in takes by default. */
export const TOKEN = 'ghs_token-of-the-run';

interface Fault {
  readonly method: string;
  readonly path: RegExp;
  readonly status: number;
  times: number;
}

/**
 * Starts it on a free port. Routes that are not there answer 501 with their name, so that a flow cannot rely on what was
 * never tried; a token that is unknown gets 401, one that may not do it 403, as GitHub answers.
 */
export async function startGitHub(options: GitHubOptions = {}): Promise<GitHubStandIn> {
  const repository = options.repository ?? 'example/orders';
  const tokens = options.tokens ?? { [TOKEN]: 'everything' };
  const state = emptyState();
  const requests: Recorded[] = [];
  const faults: Fault[] = [];
  const app = Fastify({ forceCloseConnections: true });
  app.addHook('preHandler', async (request, reply) => {
    const path = decodeURIComponent(request.url);
    const token = (request.headers.authorization ?? '').replace(/^(Bearer|token) /i, '');
    requests.push({ method: request.method, path, body: request.body ?? undefined, token });
    const fault = faults.find((one) => one.times > 0 && one.method === request.method && one.path.test(path));
    if (fault !== undefined) {
      fault.times -= 1;
      return await reply.code(fault.status).send({ message: `made to fail with ${fault.status}` });
    }
    const grants = tokens[token];
    if (grants === undefined) return await reply.code(401).send({ message: 'Bad credentials' });
    const area = request.routeOptions.config.area;
    if (area === undefined || grants === 'everything') return;
    const right = strongest(grants[area], ofPull(state, request.params) ? grants['pull-requests'] : undefined);
    const enough = request.method === 'GET' ? right !== undefined : right === 'write';
    if (!enough) return await reply.code(403).send({ message: 'Resource not accessible by integration' });
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(501).send({ message: `the stand-in has no ${request.method} ${request.url}` }),
  );
  await app.register(routes(state, options.artifacts), { prefix: `/repos/${repository}` });
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  state.url = address;
  state.repository = repository;
  return {
    url: address,
    state,
    requests,
    requested: (method, path) => requests.filter((one) => one.method === method && path.test(one.path)),
    fail: (method, path, status, times = Number.POSITIVE_INFINITY) => {
      faults.push({ method, path, status, times });
    },
    stop: () => app.close(),
  };
}

type Right = 'read' | 'write' | undefined;

const strongest = (one: Right, other: Right): Right => (one === 'write' || other === undefined ? one : other);

/** The conversation of a pull request is open to who may write either. */
function ofPull(state: GitHubState, params: unknown): boolean {
  const { number, id } = params as { number?: string; id?: string };
  const issue = number === undefined ? state.comments.get(Number(id))?.issue : Number(number);
  return issue !== undefined && state.issues.get(issue)?.pullRequest === true;
}

function routes(state: GitHubState, artifacts: string | undefined) {
  return async (app: FastifyInstance): Promise<void> => {
    issueRoutes(app, state);
    pullRoutes(app, state);
    gitRoutes(app, state);
    artifactRoutes(app, state, artifacts);
  };
}
