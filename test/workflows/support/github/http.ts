/** Shared by the routes of the stand-in: areas of rights, pages. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Area } from './state.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The right that a token needs. */
    area?: Area;
  }
}

/** Options of a route that needs a right in this area: to read for GET, else to write. */
export const needs = (area: Area) => ({ config: { area } });

/** One page of a list, with the `Link` header that leads to the next. */
export function page<T>(request: FastifyRequest, reply: FastifyReply, all: readonly T[]): readonly T[] {
  const query = request.query as { per_page?: string; page?: string };
  const size = Math.min(Number(query.per_page ?? 30), 100);
  const number = Number(query.page ?? 1);
  if (number * size < all.length) {
    const next = new URL(request.url, `http://${request.headers.host}`);
    next.searchParams.set('page', String(number + 1));
    void reply.header('link', `<${next.href}>; rel="next"`);
  }
  return all.slice((number - 1) * size, number * size);
}

/** A number in the path. */
export const numberOf = (request: FastifyRequest, name = 'number'): number =>
  Number((request.params as Record<string, string>)[name]);

/** 404 as GitHub says it. */
export const notFound = (reply: FastifyReply) => reply.code(404).send({ message: 'Not Found' });
