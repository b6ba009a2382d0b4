/** Spans on their way from a request through the queue to the engine, as a collector gets them over HTTP. */
import assert from 'node:assert/strict';
import { createVerifier } from '../../../api/authentication/verifier.ts';
import { EngineError } from '../../../api/engine/engine.ts';
import { type App, createApp } from '../../../api/http/app.ts';
import type { Operation } from '../../../api/model.ts';
import { createOperationsService, type RunningOperations } from '../../../api/operations/operations.ts';
import { createTelemetry, startTelemetry, type Telemetry } from '../../../api/telemetry/telemetry.ts';
import { noTracer, traceContext, traceparent } from '../../../api/telemetry/trace.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startIssuer, type TestIssuer } from '../authentication/issuer.ts';
import { connection, KEY, ScriptedEngine, settings, silent, until } from '../operations/support.ts';
import { type CollectedSpan, type Collector, startCollector } from './collector.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';
/** https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto */
const KINDS = { internal: 1, server: 2, consumer: 5 };

describe('traces', function () {
  this.timeout(60_000);
  let postgres: TestPostgres;
  let issuer: TestIssuer;
  let collector: Collector;
  let telemetry: Telemetry;
  let service: RunningOperations;
  let app: App;
  const engine = new ScriptedEngine();
  const before_ = process.env[ENDPOINT];

  before(async () => {
    postgres = await startPostgres();
    await postgres.query('CREATE DATABASE traces');
    issuer = await startIssuer({ namespaces: ['*'] });
    collector = await startCollector();
    process.env[ENDPOINT] = collector.url;
    process.env.OTEL_BSP_SCHEDULE_DELAY = '50';
    telemetry = { ...(await startTelemetry()), log: createTelemetry({ level: 'silent' }).log };
    const all = { ...settings(postgres.port), issuers: [issuer.settings], namespaces: ['team'] };
    service = await createOperationsService({
      connection: connection(postgres.port, postgres.password, 'traces'),
      ...{ engine, settings: all, encryptionKey: KEY, log: silent, tracer: telemetry.tracer, grace: 100 },
      environment: { ADMIN_NAME: 'postgres', ADMIN_PASSWORD: postgres.password },
    });
    await service.startWorker();
    const verifier = createVerifier({ issuers: all.issuers });
    app = await createApp({ service, settings: all, verifier, telemetry });
  });
  after(async () => {
    if (before_ === undefined) delete process.env[ENDPOINT];
    else process.env[ENDPOINT] = before_;
    delete process.env.OTEL_BSP_SCHEDULE_DELAY;
    await app?.close();
    await service?.stop(1000);
    await telemetry?.tracer.close();
    await collector?.close();
    await issuer?.close();
    await postgres?.stop();
  });
  beforeEach(() => {
    collector.spans.length = 0;
    engine.script = async () => undefined;
  });

  async function order(name: string, headers: Record<string, string> = {}): Promise<Operation> {
    const answer = await app.inject({
      method: 'PUT',
      url: `/v1/databases/${name}`,
      headers: { authorization: `Bearer ${await issuer.token({ scope: 'dev:apply' })}`, ...headers },
      payload: {
        ...{ environment: 'dev', schemas: ['app'], roles: { app: { access: 'write' } } },
        credentials: { type: 'secret', namespace: 'team' },
      },
    });
    assert.equal(answer.statusCode, 202, answer.body);
    return await service.wait(answer.json<Operation>().id, 20_000);
  }

  const named = (name: string): CollectedSpan => {
    const found = collector.spans.filter((span) => span.name === name);
    assert.equal(found.length, 1, `${found.length} spans ${name}`);
    return found[0] as CollectedSpan;
  };
  const arrived = (name: string) => until(() => collector.spans.some((span) => span.name === name));

  it('lead from the caller to the request, the operation and the runs of the engine', async () => {
    const { id, status } = await order('traced', { traceparent: `00-${TRACE}-${PARENT}-01` });
    assert.equal(status, 'succeeded');
    await arrived('operation put');
    await arrived('PUT /v1/databases/:name');
    const request = named('PUT /v1/databases/:name');
    const operation = named('operation put');
    const run = named('engine apply');
    assert.deepEqual(
      [request.parentSpanId, operation.parentSpanId, run.parentSpanId],
      [PARENT, request.spanId, operation.spanId],
    );
    for (const span of [request, operation, run]) {
      assert.equal(span.traceId, TRACE);
      assert.equal(span.service, 'operations-api');
      assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
      assert.notEqual(span.status.code, 2);
    }
    assert.deepEqual([request.kind, operation.kind, run.kind], [KINDS.server, KINDS.consumer, KINDS.internal]);
    assert.equal(request.values['http.response.status_code'], 202);
    assert.equal(request.values['http.route'], '/v1/databases/:name');
    assert.deepEqual(
      [operation.values['operation.id'], operation.values['operation.status'], operation.values['operation.attempt']],
      [id, 'succeeded', 1],
    );
    assert.equal(run.values['pulumi.stack'], 'dev.traced');
    const [sent] = collector.requests;
    assert.equal(sent?.path, '/v1/traces');
    assert.match(String(sent?.headers['content-type']), /^application\/json/);
  });

  it('begin here without a caller, and say why a run failed', async () => {
    engine.script = async () => {
      throw new EngineError('the server said no');
    };
    assert.equal((await order('failing')).status, 'failed');
    await arrived('operation put');
    await arrived('PUT /v1/databases/:name');
    const request = named('PUT /v1/databases/:name');
    assert.ok(!request.parentSpanId);
    const run = named('engine apply');
    assert.equal(run.traceId, request.traceId);
    assert.deepEqual([run.status.code, run.status.message], [2, 'the server said no']);
    assert.equal(named('operation put').status.code, 2);
    // A token or a password has no place in them.
    assert.doesNotMatch(JSON.stringify(collector.spans), /Bearer|eyJ/);
  });

  it('are not recorded where the caller records none', async () => {
    assert.equal((await order('quiet', { traceparent: `00-${TRACE}-${PARENT}-00` })).status, 'succeeded');
    // What comes after it arrives after it.
    await order('loud');
    await arrived('operation put');
    const databases = collector.spans.map(({ values }) => values['operation.database']).filter(Boolean);
    assert.deepEqual(databases, ['loud']);
  });

  it('cost nothing where no endpoint is named', async () => {
    for (const environment of [{}, { [ENDPOINT]: '' }, { [ENDPOINT]: collector.url, OTEL_SDK_DISABLED: 'true' }]) {
      assert.equal((await startTelemetry(environment)).tracer, noTracer);
    }
    const context = traceContext(`00-${TRACE}-${PARENT}-01`);
    assert.equal(noTracer.start('x', 'request', context).context, context);
    assert.equal(traceparent(context), `00-${TRACE}-${PARENT}-01`);
    assert.equal(traceparent(traceContext(undefined)), undefined);
  });
});
