/** Issues, their comments and labels. */

import type { FastifyInstance } from 'fastify';
import { needs, notFound, numberOf, page } from './http.ts';
import type { CommentRecord, GitHubState, IssueRecord } from './state.ts';

const LONGEST = 65_536;

export function issueRoutes(app: FastifyInstance, state: GitHubState): void {
  const link = (path: string): string => `https://github.com/${state.repository}/${path}`;
  const issue = (one: IssueRecord) => ({
    number: one.number,
    title: one.title,
    body: one.body,
    state: one.state,
    labels: one.labels.map((name) => ({ name })),
    html_url: link(`issues/${one.number}`),
    ...(one.pullRequest ? { pull_request: { url: link(`pull/${one.number}`) } } : {}),
  });
  const comment = (one: CommentRecord) => ({
    id: one.id,
    body: one.body,
    user: { login: one.user },
    html_url: link(`issues/${one.issue}#issuecomment-${one.id}`),
  });
  const tooLong = (body: string | undefined): boolean => (body ?? '').length > LONGEST;
  const refusal = {
    message: 'Validation Failed',
    errors: [{ message: `body is too long (maximum is ${LONGEST} characters)` }],
  };

  app.get('/issues', needs('issues'), async (request, reply) => {
    const query = request.query as { state?: string; labels?: string };
    const labels = (query.labels ?? '').split(',').filter((name) => name !== '');
    const wanted = query.state ?? 'open';
    const found = [...state.issues.values()].filter(
      (one) => (wanted === 'all' || one.state === wanted) && labels.every((name) => one.labels.includes(name)),
    );
    return page(request, reply, found.map(issue));
  });
  app.post('/issues', needs('issues'), async (request, reply) => {
    const { title, body = '', labels = [] } = request.body as { title: string; body?: string; labels?: string[] };
    if (tooLong(body)) return await reply.code(422).send(refusal);
    state.next += 1;
    const made: IssueRecord = {
      number: state.next,
      title,
      body,
      state: 'open',
      labels: [...labels],
      pullRequest: false,
    };
    for (const name of labels) state.labels.add(name);
    state.issues.set(made.number, made);
    return await reply.code(201).send(issue(made));
  });
  app.get('/issues/:number', needs('issues'), async (request, reply) => {
    const found = state.issues.get(numberOf(request));
    return found === undefined ? await notFound(reply) : issue(found);
  });
  app.patch('/issues/:number', needs('issues'), async (request, reply) => {
    const found = state.issues.get(numberOf(request));
    if (found === undefined) return await notFound(reply);
    const change = request.body as { title?: string; body?: string; state?: 'open' | 'closed'; labels?: string[] };
    if (tooLong(change.body)) return await reply.code(422).send(refusal);
    const { title = found.title, body = found.body, labels = found.labels } = change;
    Object.assign(found, { title, body, labels, state: change.state ?? found.state });
    return issue(found);
  });
  app.get('/issues/:number/comments', needs('issues'), async (request, reply) => {
    const number = numberOf(request);
    const found = [...state.comments.values()].filter((one) => one.issue === number);
    return page(request, reply, found.map(comment));
  });
  app.post('/issues/:number/comments', needs('issues'), async (request, reply) => {
    const { body } = request.body as { body: string };
    if (!state.issues.has(numberOf(request))) return await notFound(reply);
    if (tooLong(body)) return await reply.code(422).send(refusal);
    state.next += 1;
    const made: CommentRecord = {
      id: state.next,
      issue: numberOf(request),
      body,
      user: 'github-actions[bot]',
      edits: 0,
    };
    state.comments.set(made.id, made);
    return await reply.code(201).send(comment(made));
  });
  app.get('/issues/comments/:id', needs('issues'), async (request, reply) => {
    const found = state.comments.get(numberOf(request, 'id'));
    return found === undefined ? await notFound(reply) : comment(found);
  });
  app.patch('/issues/comments/:id', needs('issues'), async (request, reply) => {
    const found = state.comments.get(numberOf(request, 'id'));
    const { body } = request.body as { body: string };
    if (found === undefined) return await notFound(reply);
    if (tooLong(body)) return await reply.code(422).send(refusal);
    found.body = body;
    found.edits += 1;
    return comment(found);
  });
  app.delete('/issues/comments/:id', needs('issues'), async (request, reply) =>
    state.comments.delete(numberOf(request, 'id')) ? await reply.code(204).send() : await notFound(reply),
  );
  app.get('/issues/:number/labels', needs('issues'), async (request, reply) => {
    const found = state.issues.get(numberOf(request));
    return found === undefined ? await notFound(reply) : found.labels.map((name) => ({ name }));
  });
  app.post('/issues/:number/labels', needs('issues'), async (request, reply) => {
    const found = state.issues.get(numberOf(request));
    if (found === undefined) return await notFound(reply);
    const { labels } = request.body as { labels: string[] };
    found.labels = [...new Set([...found.labels, ...labels])];
    for (const name of labels) state.labels.add(name);
    return found.labels.map((name) => ({ name }));
  });
  app.delete('/issues/:number/labels/:name', needs('issues'), async (request, reply) => {
    const found = state.issues.get(numberOf(request));
    const { name } = request.params as { name: string };
    if (found === undefined || !found.labels.includes(name)) return await notFound(reply);
    found.labels = found.labels.filter((label) => label !== name);
    return found.labels.map((label) => ({ name: label }));
  });
  app.get('/labels', needs('issues'), async (request, reply) =>
    page(
      request,
      reply,
      [...state.labels].map((name) => ({ name })),
    ),
  );
  app.post('/labels', needs('issues'), async (request, reply) => {
    const { name } = request.body as { name: string };
    if (state.labels.has(name)) return await reply.code(422).send({ message: 'Validation Failed' });
    state.labels.add(name);
    return await reply.code(201).send({ name });
  });
}
