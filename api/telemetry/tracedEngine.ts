import { type Engine, EngineError } from '../engine/engine.ts';
import type { TraceContext, Tracer } from './trace.ts';

/** The engine with a span for each of its runs. */
export function tracedEngine(engine: Engine, tracer: Tracer, parent: TraceContext): Engine {
  if (!parent.sampled) return engine;
  const run = async <T>(what: string, stack: string, work: () => Promise<T>): Promise<T> => {
    const span = tracer.start(`engine ${what}`, 'internal', parent, { 'pulumi.stack': stack });
    try {
      const result = await work();
      span.end();
      return result;
    } catch (error) {
      span.end({}, error instanceof EngineError ? error.message : nameOf(error));
      throw error;
    }
  };
  return {
    preview: (request, goal) => run('preview', request.stack, () => engine.preview(request, goal)),
    apply: (request) => run('apply', request.stack, () => engine.apply(request)),
    destroy: (request) => run('destroy', request.stack, () => engine.destroy(request)),
    drift: (request) => run('drift', request.stack, () => engine.drift(request)),
    recover: (request) => run('recover', request.stack, () => engine.recover(request)),
    graph: (stack) => engine.graph(stack),
    ready: () => engine.ready(),
    close: () => engine.close(),
  };
}

/** What an unexpected error says may hold anything. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'it failed';
}
