/** References and files of the repository. */

import type { FastifyInstance } from 'fastify';
import { needs, notFound } from './http.ts';
import type { GitHubState } from './state.ts';

export function gitRoutes(app: FastifyInstance, state: GitHubState): void {
  const reference = (ref: string) => ({ ref, object: { type: 'commit', sha: state.refs.get(ref) } });
  app.get('/', needs('metadata'), async () => ({ full_name: state.repository, default_branch: 'main', private: true }));
  app.post('/git/refs', needs('contents'), async (request, reply) => {
    const { ref, sha } = request.body as { ref: string; sha: string };
    if (state.refs.has(ref)) return await reply.code(422).send({ message: 'Reference already exists' });
    state.refs.set(ref, sha);
    return await reply.code(201).send(reference(ref));
  });
  app.get('/git/ref/*', needs('contents'), async (request, reply) => {
    const ref = `refs/${(request.params as { '*': string })['*']}`;
    return state.refs.has(ref) ? reference(ref) : await notFound(reply);
  });
  app.get('/git/matching-refs/*', needs('contents'), async (request) => {
    const prefix = `refs/${(request.params as { '*': string })['*']}`;
    return [...state.refs.keys()].filter((ref) => ref.startsWith(prefix)).map(reference);
  });
  app.delete('/git/refs/*', needs('contents'), async (request, reply) => {
    const ref = `refs/${(request.params as { '*': string })['*']}`;
    return state.refs.delete(ref) ? await reply.code(204).send() : await notFound(reply);
  });
  app.get('/contents/*', needs('contents'), async (request, reply) => {
    const path = (request.params as { '*': string })['*'];
    const text = state.contents.get(path);
    if (text === undefined) return await notFound(reply);
    return { type: 'file', path, encoding: 'base64', content: Buffer.from(text).toString('base64') };
  });
}
