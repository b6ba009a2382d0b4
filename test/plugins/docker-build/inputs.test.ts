import assert from 'node:assert/strict';
import fc from 'fast-check';
import { cacheArgument, csv, exportArgument, isPush } from '../../../plugins/docker-build/arguments.ts';
import { buildCommand } from '../../../plugins/docker-build/buildx.ts';
import { layerCredentials } from '../../../plugins/docker-build/dockerConfig.ts';
import { readDockerfile, targetProblem } from '../../../plugins/docker-build/dockerfile.ts';
import { imageReference } from '../../../plugins/docker-build/image.ts';
import { fillInputs } from '../../../plugins/docker-build/inputs.ts';
import { toImageInputs } from '../../../plugins/docker-build/model.ts';
import { scrubber } from '../../../plugins/docker-build/scrub.ts';
import { isSecret, type PropertyMap, unwrapMap } from '../../../plugins/framework/values.ts';

const BASE = {
  buildOnPreview: true,
  context: { location: './app' },
  dockerfile: { inline: '', location: 'app/Dockerfile' },
  exec: false,
  load: false,
  network: 'default',
  noCache: false,
  pull: false,
  push: false,
  target: '',
};

/** Requests and answers of the official provider, as its own recorded upgrade tests have them. */
const RECORDED: readonly (readonly [string, PropertyMap, PropertyMap])[] = [
  ['defaults', { push: false, context: { location: './app' } }, BASE],
  [
    'an inline Dockerfile in the current directory',
    { dockerfile: { inline: 'FROM alpine\n' }, push: false },
    { ...BASE, context: { location: '.' }, dockerfile: { inline: 'FROM alpine\n', location: '' } },
  ],
  [
    'a remote context',
    { context: { location: 'https://example.com/Dockerfile' }, push: false },
    { ...BASE, context: { location: 'https://example.com/Dockerfile' }, dockerfile: { inline: '', location: '' } },
  ],
  [
    'caches',
    {
      cacheFrom: [{ local: { src: 'tmp/cache' } }],
      cacheTo: [{ local: { dest: 'tmp/cache', mode: 'max' } }],
      context: { location: './app' },
    },
    {
      ...BASE,
      cacheFrom: [{ disabled: false, local: { digest: '', src: 'tmp/cache' }, raw: '' }],
      cacheTo: [
        {
          disabled: false,
          local: {
            compression: 'gzip',
            compressionLevel: 0,
            dest: 'tmp/cache',
            forceCompression: false,
            ignoreError: false,
            mode: 'max',
          },
          raw: '',
        },
      ],
    },
  ],
  [
    'a docker and a registry export',
    {
      context: { location: './app' },
      exports: [{ docker: { tar: true } }, { registry: { ociMediaTypes: true, push: false } }],
      tags: ['docker.io/pulumibot/buildkit-e2e:example'],
    },
    {
      ...BASE,
      exports: [
        {
          disabled: false,
          docker: {
            compression: 'gzip',
            compressionLevel: 0,
            dest: '',
            forceCompression: false,
            ociMediaTypes: false,
            tar: true,
          },
          raw: '',
        },
        {
          disabled: false,
          raw: '',
          registry: {
            compression: 'gzip',
            compressionLevel: 0,
            danglingNamePrefix: '',
            forceCompression: false,
            ociMediaTypes: true,
            push: false,
            store: true,
          },
        },
      ],
      tags: ['docker.io/pulumibot/buildkit-e2e:example'],
    },
  ],
  ['ssh', { context: { location: './app' }, ssh: [{ id: 'default' }] }, { ...BASE, ssh: [{ id: 'default' }] }],
];

describe('docker-build: inputs', () => {
  for (const [title, given, expected] of RECORDED) {
    it(`are filled in as the official provider does: ${title}`, () => {
      assert.deepEqual(fillInputs(given), expected);
    });
  }

  it('filling in twice changes nothing', () => {
    for (const [, given] of RECORDED) assert.deepEqual(fillInputs(fillInputs(given)), fillInputs(given));
  });

  it('marks secrets and passwords, and nothing else', () => {
    const filled = fillInputs({
      context: { location: '.' },
      registries: [{ address: 'r.example.com', username: 'u', password: 'p' }],
      secrets: { npmrc: 'x' },
    });
    assert.ok(isSecret(filled.secrets));
    const [registry] = filled.registries as PropertyMap[];
    assert.ok(isSecret(registry?.password));
    assert.equal(registry?.username, 'u');
    assert.deepEqual(unwrapMap(filled).secrets, { npmrc: 'x' });
  });
});

describe('docker-build: arguments', () => {
  it('of exports', () => {
    const [entry] = fillInputs({ exports: [{ registry: { names: ['a.example.com/x'] } }] }).exports as PropertyMap[];
    assert.equal(
      exportArgument(entry ?? {}),
      'type=registry,push=true,store=true,oci-mediatypes=false,name=a.example.com/x',
    );
    assert.equal(exportArgument({ raw: 'type=oci,dest=x' }), 'type=oci,dest=x');
    assert.equal(exportArgument({ disabled: true, raw: 'type=oci' }), '');
    assert.ok(isPush({ registry: {} }) && isPush({ raw: 'type=image,push=true' }));
    assert.ok(!isPush({ image: {} }) && !isPush({ registry: { push: false } }));
  });

  it('of caches never hold a key', () => {
    const argument = cacheArgument({ s3: { bucket: 'b', region: 'r', secretAccessKey: 'hush', sessionToken: 'hush' } });
    assert.equal(argument, 'type=s3,region=r,bucket=b');
  });

  it('of a whole build: every option, secrets in the environment only', () => {
    const inputs = toImageInputs(
      fillInputs({
        addHosts: ['a:1.2.3.4'],
        buildArgs: { B: '2', A: '1' },
        builder: { name: 'mine' },
        cacheFrom: [{ registry: { ref: 'r.io/cache' } }, { disabled: true, gha: {} }],
        cacheTo: [{ s3: { bucket: 'b', region: 'r', accessKeyId: 'key-id', secretAccessKey: 'key-secret' } }],
        context: { location: 'app', named: { other: { location: '../other' } } },
        labels: { l: 'v' },
        load: true,
        network: 'host',
        noCache: true,
        platforms: ['linux/amd64', 'linux/arm64'],
        pull: true,
        push: true,
        secrets: { npmrc: 'token-1', 'a,b': 'token-2' },
        ssh: [{ id: 'default' }, { id: 'git', paths: ['/a', '/b'] }],
        tags: ['r.io/x:1'],
        target: 'main',
      }),
    );
    const request = { inputs, registries: [], host: '', signal: new AbortController().signal, onLine: () => undefined };
    const { args, env } = buildCommand({ ...request, preview: false }, 'm.json');
    const line = args.join(' ');
    for (const part of [
      '--builder mine --build-arg A=1 --build-arg B=2 --label l=v --build-context other=../other --add-host a:1.2.3.4',
      '--cache-from type=registry,ref=r.io/cache --cache-to type=s3,region=r,bucket=b,mode=min,ignore-error=false',
      '--network host --no-cache --pull --platform linux/amd64 --platform linux/arm64 --ssh default --ssh git=/a,/b',
      '--tag r.io/x:1 --target main --push --load',
      '--secret "id=a,b",env=DEVOPS_BUILD_SECRET_0 --secret id=npmrc,env=DEVOPS_BUILD_SECRET_1 --file app/Dockerfile -- app',
    ]) {
      assert.ok(line.includes(part), `${part}\nis not in\n${line}`);
    }
    assert.ok(!/token-|key-/.test(line));
    assert.equal(env.DEVOPS_BUILD_SECRET_1, 'token-1');
    assert.equal(env.AWS_SECRET_ACCESS_KEY, 'key-secret');
    const preview = buildCommand({ ...request, preview: true }, 'm.json').args.join(' ');
    assert.ok(
      preview.includes('--output type=cacheonly') && !preview.includes('--push') && !preview.includes('--load'),
    );
  });

  it('CSV fields with commas and quotes are quoted', () => {
    assert.equal(csv([['id', 'a,"b"']]), '"id=a,""b"""');
  });
});

describe('docker-build: Dockerfile', () => {
  it('finds the stages', () => {
    const text = [
      '# syntax=docker/dockerfile:1',
      'ARG V=1',
      'FROM --platform=linux/amd64 node:$V AS build',
      'RUN <<EOF',
      'NOT an instruction',
      'EOF',
      'RUN echo \\',
      '  # a comment',
      '  one',
      'from scratch as Main',
    ].join('\n');
    assert.deepEqual(readDockerfile(text), { stages: ['build', 'Main'], foreign: false });
    assert.equal(targetProblem(readDockerfile(text), 'main'), undefined);
    assert.match(targetProblem(readDockerfile(text), 'migrations') ?? '', /no stage "migrations".*build, Main/);
  });

  it('names the line of a mistake', () => {
    assert.throws(() => readDockerfile('FROM scratch\nCOPPY a b\n'), /line 2: "COPPY" is not a Dockerfile instruction/);
    assert.throws(() => readDockerfile('RUN x\n'), /line 1: RUN before the first FROM/);
    assert.throws(() => readDockerfile('# nothing\n'), /no FROM/);
    assert.throws(() => readDockerfile('FROM scratch\nRUN <<X\na\n'), /line 2: the here-document <<X has no end/);
  });

  it('leaves other frontends alone', () => {
    assert.equal(readDockerfile('# syntax=example.com/front:1\nWHATEVER\n').foreign, true);
  });
});

describe('docker-build: reference, scrubbing, credentials', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  it('ref is the first tag with a registry, with tag and digest', () => {
    assert.equal(imageReference(['app:1', 'r.io:5000/x/app'], digest), `r.io:5000/x/app:latest@${digest}`);
    assert.equal(imageReference(['127.0.0.1:5000/app:v1'], digest), `127.0.0.1:5000/app:v1@${digest}`);
    assert.equal(imageReference(['app:1'], ''), 'app:1');
    assert.equal(imageReference([], digest), '');
  });

  it('no secret is left in scrubbed text', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), fc.string(), fc.string(), (value, before, after) => {
        fc.pre(value.trim().length > 5);
        const text = before + value + Buffer.from(value).toString('base64') + after;
        // The mask itself may hold what is a part of the value.
        fc.pre(!'[secret]'.includes(value.trim()));
        const scrubbed = scrubber([value])(text).replaceAll('[secret]', '');
        assert.ok(before.includes(value) || after.includes(value) || !scrubbed.includes(value));
      }),
    );
    assert.equal(scrubber(['line one\nline two'])('#7 line two'), '#7 [secret]');
  });

  it('given credentials go before the credential store', () => {
    const config = layerCredentials({ credsStore: 'desktop', auths: { other: { auth: 'eA==' } } }, [
      { address: 'https://r.example.com/v2/', username: 'u', password: 'p' },
      { address: 'docker.io', username: 'u', password: 'p' },
    ]);
    assert.equal(config.credHelpers?.['r.example.com'], '');
    assert.equal(config.credHelpers?.['https://index.docker.io/v1/'], '');
    assert.equal(config.auths?.['r.example.com']?.auth, Buffer.from('u:p').toString('base64'));
    assert.deepEqual(config.auths?.other, { auth: 'eA==' });
  });
});
