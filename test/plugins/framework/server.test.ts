import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import engineServices from '@pulumi/pulumi/proto/engine_grpc_pb.js';
import engineMessages, { type LogRequest } from '@pulumi/pulumi/proto/engine_pb.js';
import empties from 'google-protobuf/google/protobuf/empty_pb.js';
import {
  type CreateRequest,
  type Log,
  type Plugin,
  type Provider,
  ResourceInitError,
} from '../../../plugins/framework/provider.ts';
import { startServer } from '../../../plugins/framework/server.ts';
import { type PropertyMap, Secret, UNKNOWN } from '../../../plugins/framework/values.ts';
import { connect, PluginClient, type PluginError, urnOf } from '../client.ts';

const TYPE = 'test:index:Thing';

/** A provider that remembers what it was asked and tells what it was configured with. */
class Recorder implements Provider {
  capabilities = { acceptSecrets: true, supportsPreview: true };
  owner = '';
  closed = 0;
  readonly creates: CreateRequest[] = [];
  createWork: (request: CreateRequest) => Promise<void> = async () => {};

  constructor(readonly log: Log) {}

  async configure({ inputs }: { inputs: PropertyMap }) {
    this.owner = String(inputs.owner);
  }
  async check({ news }: { news: PropertyMap }) {
    return { inputs: news, failures: [{ property: 'a.b', reason: 'wrong' }] };
  }
  async diff() {
    return {
      changes: true,
      replaces: ['a'],
      stables: ['b'],
      diffs: ['a', 'c'],
      deleteBeforeReplace: true,
      detailedDiff: {
        a: { kind: 'update-replace', inputDiff: true },
        'c["d.e"]': { kind: 'delete', inputDiff: false },
      },
    } as const;
  }
  async create(request: CreateRequest) {
    this.creates.push(request);
    await this.createWork(request);
    return { id: 'i-1', state: { ...request.inputs, owner: this.owner } };
  }
  async read({ id }: { id: string }) {
    return { id: id === 'gone' ? '' : id, state: { a: 1 }, inputs: { a: 1 } };
  }
  async update({ news }: { news: PropertyMap }) {
    return { state: news };
  }
  async delete() {}
  async invoke({ args }: { args: PropertyMap }) {
    return { result: args, failures: [{ property: 'x', reason: 'y' }] };
  }
  async close() {
    this.closed++;
  }
}

function recorder(): { plugin: Plugin; providers: Recorder[] } {
  const providers: Recorder[] = [];
  const create = (log: Log) => {
    const provider = new Recorder(log);
    providers.push(provider);
    return provider;
  };
  return { plugin: { name: 'test', version: '1.2.3', create }, providers };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    if (waited > 5000) throw new Error(`waited 5 s in vain for ${what}`);
    await sleep(10);
  }
}

describe('plugin server', () => {
  const { plugin, providers } = recorder();
  let client: PluginClient;
  const provider = () => {
    const last = providers.at(-1);
    assert.ok(last, 'no provider was made');
    return last;
  };

  beforeEach(async () => {
    client = await connect(plugin);
    await client.configure({ owner: 'me' });
  });
  afterEach(() => client.close());

  it('answers with the version of the plugin', async () => {
    assert.equal(await client.version(), '1.2.3');
  });

  it('negotiates secrets and previews', async () => {
    assert.deepEqual(await client.configure(), { acceptSecrets: true, supportsPreview: true });
    assert.deepEqual(await client.handshake('127.0.0.1:1'), { acceptSecrets: true });
    provider().capabilities = { acceptSecrets: false, supportsPreview: false };
    assert.deepEqual(await client.configure(), { acceptSecrets: false, supportsPreview: false });
    // A handshake promises previews; without an answer the engine believes Configure.
    await assert.rejects(client.handshake('127.0.0.1:1'), { code: grpc.status.UNIMPLEMENTED });
  });

  it('carries what a create needs and returns its state with marks', async () => {
    const inputs = { password: new Secret('x'), later: UNKNOWN, list: [1, null] };
    const result = await client.create(TYPE, 'a', inputs, { preview: true, timeoutSeconds: 90 });
    assert.deepStrictEqual(result, { id: 'i-1', state: { ...inputs, owner: 'me' } });
    const [request] = provider().creates;
    assert.deepEqual(
      { urn: request?.urn, type: request?.type, name: request?.name, preview: request?.preview },
      { urn: urnOf(TYPE, 'a'), type: TYPE, name: 'a', preview: true },
    );
    assert.equal(request?.timeoutSeconds, 90);
  });

  it('carries a diff with all its parts', async () => {
    const existing = { id: 'i-1', state: {}, inputs: {} };
    assert.deepEqual(await client.diff(TYPE, 'a', existing, {}), await provider().diff());
  });

  it('carries check and invoke failures', async () => {
    assert.deepEqual(await client.check(TYPE, 'a', { a: 1 }), {
      inputs: { a: 1 },
      failures: [{ property: 'a.b', reason: 'wrong' }],
    });
    assert.deepEqual(await client.invoke('test:index:get', { q: 1 }), {
      result: { q: 1 },
      failures: [{ property: 'x', reason: 'y' }],
    });
  });

  it('returns nothing of a resource that is gone', async () => {
    assert.deepEqual(await client.read(TYPE, 'a', { id: 'gone' }), { id: '', state: {}, inputs: {} });
    assert.deepEqual(await client.read(TYPE, 'a', { id: 'i-1' }), { id: 'i-1', state: { a: 1 }, inputs: { a: 1 } });
  });

  it('passes on an error as its message alone', async () => {
    provider().createWork = async () => {
      throw new Error('no room in the inn');
    };
    await assert.rejects(client.create(TYPE, 'a', {}), (error: PluginError) => {
      assert.equal(error.message, 'no room in the inn');
      assert.equal(error.initFailure, undefined);
      return true;
    });
  });

  it('passes on a resource that was made but is not ready, with its state and every reason', async () => {
    const state = { name: 'web', password: new Secret('x') };
    provider().createWork = async ({ inputs }) => {
      throw new ResourceInitError('i-2', state, inputs, ['pod 1: crashed', 'pod 2: no image']);
    };
    await assert.rejects(client.create(TYPE, 'a', { name: 'web' }), (error: PluginError) => {
      assert.equal(error.message, 'pod 1: crashed\npod 2: no image');
      assert.deepStrictEqual(error.initFailure, {
        id: 'i-2',
        state,
        inputs: { name: 'web' },
        reasons: ['pod 1: crashed', 'pod 2: no image'],
      });
      return true;
    });
  });

  it('takes values beyond the usual limit of gRPC', async () => {
    const big = 'x'.repeat(5_000_000);
    const { state } = await client.create(TYPE, 'a', { big });
    assert.equal(state.big, big);
  });

  it('gives every connection a provider of its own, and closes it with the connection', async () => {
    const mine = provider();
    const other = new PluginClient(client.port);
    await other.configure({ owner: 'other' });
    const theirs = provider();
    assert.notEqual(theirs, mine);
    const answers = await Promise.all([client.create(TYPE, 'a', {}), other.create(TYPE, 'a', {})]);
    assert.deepEqual(
      answers.map(({ state }) => state.owner),
      ['me', 'other'],
    );
    await other.close();
    await until(() => theirs.closed === 1, 'the closing of the second provider');
    assert.equal(mine.closed, 0);
    assert.equal((await client.create(TYPE, 'b', {})).state.owner, 'me');
  });

  it('keeps the provider of a single engine that dials again', async () => {
    const own = recorder();
    const server = await startServer(own.plugin, { singleEngine: true });
    try {
      const first = new PluginClient(server.port);
      await first.configure({ owner: 'engine' });
      await first.close();
      const again = new PluginClient(server.port);
      assert.equal((await again.create(TYPE, 'a', {})).state.owner, 'engine');
      await again.close();
      assert.deepEqual([own.providers.length, own.providers[0]?.closed], [1, 0]);
    } finally {
      await server.close();
    }
    assert.equal(own.providers[0]?.closed, 1);
  });

  it('refuses to work on a connection that was never configured', async () => {
    const stray = new PluginClient(client.port);
    try {
      await assert.rejects(stray.create(TYPE, 'a', {}), /"test" plugin .* not configured/);
      assert.equal(provider().creates.length, 0);
    } finally {
      await stray.close();
    }
  });

  it('aborts what runs on Cancel, on this connection only', async () => {
    const waitForAbort = ({ signal }: CreateRequest) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    const mine = provider();
    const other = new PluginClient(client.port);
    await other.configure({ owner: 'other' });
    const theirs = provider();
    let release = () => {};
    theirs.createWork = ({ signal }) =>
      new Promise<void>((resolve, reject) => {
        release = resolve;
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    mine.createWork = waitForAbort;

    const cancelled = assert.rejects(client.create(TYPE, 'a', {}), /the operation was cancelled/);
    const kept = other.create(TYPE, 'a', {});
    await until(() => mine.creates.length === 1 && theirs.creates.length === 1, 'both creates');
    await client.cancel();
    await cancelled;
    release();
    assert.equal((await kept).id, 'i-1');
    await other.close();
  });

  it('aborts what runs when the connection is lost', async () => {
    const mine = provider();
    let reason: unknown;
    mine.createWork = ({ signal }) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          reject(signal.reason);
        });
      });
    const lost = assert.rejects(client.create(TYPE, 'a', {}));
    await until(() => mine.creates.length === 1, 'the create');
    await client.close();
    await lost;
    await until(() => reason !== undefined, 'the abort');
    assert.equal(mine.closed, 1);
  });

  it('has no schema and no configuration diff unless the plugin has', async () => {
    await assert.rejects(client.schema(), { code: grpc.status.UNIMPLEMENTED });
    assert.deepEqual(await client.checkConfig({ a: 1 }), { inputs: { a: 1 }, failures: [] });
  });

  it('says which port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    try {
      await assert.rejects(
        startServer(plugin, { port }),
        new RegExp(`"test" plugin on 127.0.0.1:${port}: .*EADDRINUSE`),
      );
    } finally {
      taken.close();
    }
  });
});

describe('plugin log', () => {
  const received: LogRequest[] = [];
  const engine = new grpc.Server();
  let address: string;

  before(async () => {
    engine.addService(engineServices.EngineService, {
      log(call: grpc.ServerUnaryCall<LogRequest, unknown>, callback: grpc.sendUnaryData<unknown>) {
        received.push(call.request);
        callback(null, new empties.Empty());
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      engine.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
    address = `127.0.0.1:${port}`;
  });
  after(() => engine.forceShutdown());
  beforeEach(() => received.splice(0));

  for (const introduce of ['handshake', 'attach'] as const) {
    it(`reaches the engine that ${introduce} names, before the request ends`, async () => {
      const { plugin, providers } = recorder();
      const client = await connect(plugin);
      try {
        await client[introduce](address);
        await client.configure();
        const [provider] = providers;
        assert.ok(provider);
        provider.createWork = async ({ urn }) => {
          provider.log.warn('slow', urn);
          provider.log.status('[1/2] waiting', urn);
          provider.log.debug('detail');
        };
        await client.create(TYPE, 'a', {});
        const { DEBUG, INFO, WARNING } = engineMessages.LogSeverity;
        const seen = received.map((m) => [m.getSeverity(), m.getMessage(), m.getUrn(), m.getEphemeral()]);
        assert.deepEqual(
          seen.sort((a, b) => String(a[1]).localeCompare(String(b[1]))),
          [
            [INFO, '[1/2] waiting', urnOf(TYPE, 'a'), true],
            [DEBUG, 'detail', '', false],
            [WARNING, 'slow', urnOf(TYPE, 'a'), false],
          ],
        );
      } finally {
        await client.close();
      }
    });
  }

  it('does not fail or hold up a request when the engine is gone', async () => {
    const { plugin, providers } = recorder();
    const client = await connect(plugin);
    try {
      await client.attach('127.0.0.1:1');
      await client.configure();
      const [provider] = providers;
      assert.ok(provider);
      provider.createWork = async () => provider.log.info('hello');
      assert.equal((await client.create(TYPE, 'a', {})).id, 'i-1');
    } finally {
      await client.close();
    }
  });
});
