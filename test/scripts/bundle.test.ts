import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

describe('scripts/bundle', function () {
  this.timeout(30_000);
  let project: string;

  /** Runs the bundled program of `project` in a process of its own, as the language host does. */
  function run(): unknown {
    const script = `
      const { bundledProgram } = await import(${JSON.stringify(join(root, 'scripts', 'bundle.mjs'))});
      const { default: value } = await import(await bundledProgram(process.cwd()));
      console.log(JSON.stringify(value));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: project,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return JSON.parse(output);
  }

  before(() => {
    project = mkdtempSync(join(tmpdir(), 'bundle-'));
    mkdirSync(join(project, 'node_modules'));
    symlinkSync(join(root, 'node_modules', '@pulumi'), join(project, 'node_modules', '@pulumi'));
    writeFileSync(join(project, 'node_modules', '.package-lock.json'), '{}');
    mkdirSync(join(project, 'scripts'));
    writeFileSync(join(project, 'scripts', 'bundle.mjs'), '');
  });

  after(() => rmSync(project, { recursive: true, force: true }));

  it('has every name of the SDK, and does not load its heavy parts until they are used', () => {
    writeFileSync(
      join(project, 'index.ts'),
      `import { createRequire } from 'node:module';
       import * as pulumi from '@pulumi/pulumi';
       const require = createRequire(${JSON.stringify(join(project, 'index.ts'))});
       const loaded = (part: string) => Object.keys(require.cache).some((file) => file.includes(part));
       const before = { typescript: loaded('/typescript/'), automation: loaded('/pulumi/automation/') };
       const full = require('@pulumi/pulumi');
       const missing = Object.keys(full).filter((key) => !(key in pulumi));
       const runtime = Object.keys(full.runtime).filter((key) => !(key in pulumi.runtime));
       const other = ['Output', 'Resource', 'ComponentResource', 'CustomResource', 'Config', 'ResourceError']
         .filter((key) => full[key] !== (pulumi as Record<string, unknown>)[key]);
       export default { before, missing, runtime, other, stack: typeof pulumi.automation.Stack };`,
    );
    // The run that makes the bundle has looked at the whole SDK for its names.
    run();
    assert.deepEqual(run(), {
      before: { typescript: false, automation: false },
      missing: [],
      runtime: [],
      other: [],
      stack: 'function',
    });
  });

  it('is made anew when a source, or what is installed, has changed', () => {
    writeFileSync(join(project, 'index.ts'), `import { value } from './value.ts';\nexport default value;\n`);
    writeFileSync(join(project, 'value.ts'), 'export const value: number = 1;\n');
    assert.equal(run(), 1);
    writeFileSync(join(project, 'value.ts'), 'export const value: number = 2;\n');
    // Also within the resolution of the file system's clock.
    utimesSync(join(project, 'value.ts'), new Date(), new Date(Date.now() + 5000));
    assert.equal(run(), 2);
  });

  it('names the file and line of a source that does not compile', () => {
    writeFileSync(join(project, 'index.ts'), 'export default 1;\nconst broken = ;\n');
    assert.throws(run, /index\.ts:2:\d+: ERROR/);
  });
});
