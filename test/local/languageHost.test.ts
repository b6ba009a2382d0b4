import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';

interface Project {
  readonly runtime?: string | { readonly options?: { readonly nodeargs?: string; readonly typescript?: boolean } };
}

describe('local/toolchain/language-host.sh', () => {
  let directory: string;
  let launcher: string;
  let program: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'language-host-'));
    launcher = join(directory, 'bin', 'pulumi-language-nodejs');
    program = join(directory, 'a project', 'src', 'program');
    mkdirSync(join(directory, 'bin'));
    mkdirSync(program, { recursive: true });
    copyFileSync(new URL('../../local/toolchain/language-host.sh', import.meta.url), launcher);
    const host = `${launcher}-host`;
    writeFileSync(host, '#!/bin/sh\nprintf "%s\\\\n" "$@"\n');
    for (const file of [launcher, host]) chmodSync(file, 0o755);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const start = (cwd: string) => execFileSync(launcher, ['-root=/x y', '127.0.0.1:1'], { cwd, encoding: 'utf8' });
  /** Arguments of the host for a project's file, as seen from a folder two levels below it. */
  function flags(text: string, name = 'Pulumi.yaml'): string[] {
    const file = join(directory, 'a project', name);
    writeFileSync(file, text);
    try {
      const lines = start(program).split('\n');
      assert.deepEqual(lines.slice(2), ['-root=/x y', '127.0.0.1:1', '']);
      return lines.slice(0, 2);
    } finally {
      rmSync(file);
    }
  }
  const expected = (text: string) => {
    const { runtime } = parse(text) as Project;
    const options = typeof runtime === 'object' ? runtime.options : undefined;
    return [`-nodeargs=${options?.nodeargs ?? ''}`, `-typescript=${options?.typescript ?? true}`];
  };

  const texts = {
    block:
      'name: a\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n    nodeargs: --import tsx # why\nmain: x\n',
    flow: 'name: a\nruntime: { name: nodejs, options: { nodeargs: "--import tsx", typescript: false } }\nmain: x.ts\n',
    mixed: "runtime:\n  name: nodejs\n  options: {nodeargs: '--import ''tsx''', typescript: false}\n",
    lines:
      'runtime: {\n  options: {\n    # a } comment\n    nodeargs: --import tsx,\n    typescript:\n      false\n  },\n}\n',
    json: '{"name":"a","runtime":{"name":"nodejs","options":{"nodeargs":"--import \\"tsx\\"","typescript":false}}}\n',
    folded: 'runtime:\n  options:\n    nodeargs: >-\n      --import\n      tsx\n    typescript: false\nmain: x\n',
    elsewhere:
      'description: |\n  "runtime:\n    options:\n      nodeargs: --no\nconfig:\n  options:\n    nodeargs: --no\n  runtime: { options: { nodeargs: --no } }\nruntime: nodejs\nplugins:\n  providers:\n    - name: x\n      options: { typescript: false }\n',
    after: 'runtime:\n  options:\n    typescript: false\noptions:\n  nodeargs: --no\nnodeargs: --no\n',
    comma: 'runtime:\n  options:\n    nodeargs: --import a,b{c} --x=y:z http://h#i\n',
    windows: 'runtime:\r\n  options:\r\n    typescript: false\r\n    nodeargs: --import tsx\r\n',
  };
  for (const [name, text] of Object.entries(texts)) {
    it(`reads the options as a YAML parser does: ${name}`, () => {
      assert.deepEqual(flags(text), expected(text));
    });
  }

  it('reads what a YAML library writes, in both styles', () => {
    const project = fc.record({
      description: fc.string(),
      runtime: fc.record({
        options: fc.record(
          {
            nodeargs: fc.stringMatching(/^[ -~]{0,30}$/),
            typescript: fc.boolean(),
            packagemanager: fc.constant('npm'),
          },
          { requiredKeys: [] },
        ),
        name: fc.constant('nodejs'),
      }),
      main: fc.constant('index.ts'),
    });
    fc.assert(
      fc.property(project, fc.boolean(), (value, flow) => {
        const text = flow ? stringify(value, { collectionStyle: 'flow' }) : stringify(value);
        assert.deepEqual(flags(text), expected(text));
      }),
      { numRuns: 150 },
    );
  });

  it('takes the nearest file, Pulumi.json as well, and starts without any', () => {
    assert.deepEqual(flags(texts.json, 'Pulumi.json'), expected(texts.json));
    writeFileSync(join(program, 'Pulumi.yaml'), 'runtime: nodejs\n');
    assert.deepEqual(flags(texts.block), ['-nodeargs=', '-typescript=true']);
    rmSync(join(program, 'Pulumi.yaml'));
    assert.deepEqual(start('/').split('\n').slice(0, 2), ['-nodeargs=', '-typescript=true']);
  });
});
