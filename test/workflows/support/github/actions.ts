/** Runs of workflows and their artifacts; a folder of the stand-in of `actions/upload-artifact` is what there is. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { needs, notFound, numberOf } from './http.ts';
import type { GitHubState } from './state.ts';

export function artifactRoutes(app: FastifyInstance, state: GitHubState, folder: string | undefined): void {
  app.get('/actions/runs/:id', needs('actions'), async (request, reply) => {
    const found = state.runs.get(numberOf(request, 'id'));
    return found === undefined ? await notFound(reply) : { id: numberOf(request, 'id'), ...found };
  });
  app.get('/actions/runs/:id/artifacts', needs('actions'), async (request) => {
    const directory = join(folder ?? '', (request.params as { id: string }).id);
    const names = folder !== undefined && existsSync(directory) ? readdirSync(directory).sort() : [];
    const artifacts = names.map((name, index) => ({ id: index + 1, name, expired: false }));
    return { total_count: artifacts.length, artifacts };
  });
  app.get('/actions/workflows/:file/runs', needs('actions'), async () => {
    const runs = [...state.runs].map(([id, run]) => ({ id, ...run })).reverse();
    return { total_count: runs.length, workflow_runs: runs };
  });
}
