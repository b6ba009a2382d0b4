import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { Verifier } from '../authentication/verifier.ts';
import type { Action, Caller } from '../model.ts';
import type { OperationsService } from '../operations/service.ts';
import type { ApiSettings } from '../settings.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { Span, TraceContext } from '../telemetry/trace.ts';

export interface AppOptions {
  readonly service: OperationsService;
  readonly settings: ApiSettings;
  readonly verifier: Verifier;
  readonly telemetry: Telemetry;
  /** Folder of the console's files. @default no console */
  readonly consoleDirectory?: string;
  /** Fires when the service ends: streams end, and requests that wait are answered. @default when the app is closed */
  readonly closing?: AbortSignal;
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller must be allowed to do, in the environment that the request is about. Every /v1 route has it. */
    action?: Action;
    /** The body may be left out: then it is `{}`. */
    optionalBody?: boolean;
  }
  interface FastifyInstance {
    /** operationIds of routes whose body may be left out. */
    optionalBodies: ReadonlySet<string>;
  }
  interface FastifyRequest {
    /** Who asks; null on routes that are open. */
    caller: Caller | null;
    /** When the token of who asks ends, in milliseconds since 1970. */
    callerUntil: number;
    /** Where the request belongs, in the log and for what it leads to. */
    trace: TraceContext | null;
    span: Span | null;
    /** The service has been asked, and writes the audit log itself. */
    handedOver: boolean;
    /** What the request is about, as far as it is known, for the audit log. */
    about: { environment: string | null; database: string | null; operationId: string | null };
  }
}
