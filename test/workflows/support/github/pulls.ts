/** Pull requests, deployments, and who may do what. */

import type { FastifyInstance } from 'fastify';
import { needs, notFound, numberOf, page } from './http.ts';
import type { DeploymentRecord, GitHubState, PullRecord } from './state.ts';

export function pullRoutes(app: FastifyInstance, state: GitHubState): void {
  const pull = (one: PullRecord) => ({
    number: one.number,
    state: one.state,
    html_url: `https://github.com/${state.repository}/pull/${one.number}`,
    labels: (state.issues.get(one.number)?.labels ?? []).map((name) => ({ name })),
    head: { ref: one.head.ref, sha: one.head.sha, repo: { full_name: one.head.repository } },
    base: { ...one.base, repo: { full_name: state.repository } },
  });
  app.get('/pulls', needs('pull-requests'), async (request, reply) => {
    const { state: wanted = 'open' } = request.query as { state?: string };
    const found = [...state.pulls.values()].filter((one) => wanted === 'all' || one.state === wanted);
    return page(request, reply, found.map(pull));
  });
  app.get('/pulls/:number', needs('pull-requests'), async (request, reply) => {
    const found = state.pulls.get(numberOf(request));
    return found === undefined ? await notFound(reply) : pull(found);
  });
  app.get('/pulls/:number/files', needs('pull-requests'), async (request, reply) => {
    const found = state.pulls.get(numberOf(request));
    if (found === undefined) return await notFound(reply);
    return page(
      request,
      reply,
      found.files.map((filename) => ({ filename, status: 'modified' })),
    );
  });
  app.get('/collaborators/:login/permission', needs('metadata'), async (request) => {
    const { login } = request.params as { login: string };
    return { permission: state.permissions.get(login) ?? 'write', user: { login } };
  });

  const deployment = (one: DeploymentRecord) => ({
    id: one.id,
    environment: one.environment,
    ref: one.ref,
    sha: one.ref,
    payload: one.payload,
  });
  app.get('/deployments', needs('deployments'), async (request, reply) => {
    const { environment } = request.query as { environment?: string };
    const found = [...state.deployments.values()].filter((one) => !environment || one.environment === environment);
    return page(request, reply, found.reverse().map(deployment));
  });
  app.post('/deployments', needs('deployments'), async (request, reply) => {
    const {
      environment = 'production',
      ref,
      payload = {},
    } = request.body as Partial<DeploymentRecord> & { ref: string };
    state.next += 1;
    const made: DeploymentRecord = { id: state.next, environment, ref, payload, statuses: [] };
    state.deployments.set(made.id, made);
    return await reply.code(201).send(deployment(made));
  });
  app.get('/deployments/:id/statuses', needs('deployments'), async (request, reply) => {
    const found = state.deployments.get(numberOf(request, 'id'));
    return found === undefined ? await notFound(reply) : page(request, reply, found.statuses.toReversed());
  });
  app.post('/deployments/:id/statuses', needs('deployments'), async (request, reply) => {
    const found = state.deployments.get(numberOf(request, 'id'));
    if (found === undefined) return await notFound(reply);
    const { state: word, description = '', environment_url = '' } = request.body as Record<string, string>;
    const made = { state: word ?? '', description, environment_url };
    found.statuses.push(made);
    return await reply.code(201).send(made);
  });
  app.delete('/deployments/:id', needs('deployments'), async (request, reply) =>
    state.deployments.delete(numberOf(request, 'id')) ? await reply.code(204).send() : await notFound(reply),
  );
  app.delete('/environments/:name', needs('deployments'), async (_request, reply) => await reply.code(204).send());
}
