import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { parse } from 'yaml';
import { repositoryRoot } from '../../local/context.ts';
import { WorkflowError } from '../../workflows/failure.ts';
import { verdictOf } from '../../workflows/supplyChain/verdict.ts';
import { runCommand } from './support/command.ts';
import { repositoryFiles } from './support/repositoryFiles.ts';
import { actionlint, zizmor } from './support/tools.ts';
import { startVerdaccio } from './support/verdaccio.ts';
import { calledBy, callers, ownWorkflows } from './support/workflowFiles.ts';

const root = repositoryRoot();

describe('supply chain', function () {
  this.timeout(300_000);
  let scratch: string;

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'supply-chain-'));
  });
  afterEach(async () => {
    await rm(scratch, { recursive: true, force: true });
  });

  // Without programs that happen to be on a machine: the same findings everywhere.
  const alone = ['-no-color', '-shellcheck=', '-pyflakes='];
  const lint = async (files: readonly string[]) =>
    await execa(await actionlint(), [...alone, '-config-file', '.github/actionlint.yaml', ...files], {
      cwd: root,
      all: true,
      reject: false,
    });
  const audit = async (...inputs: readonly string[]) =>
    await execa(
      await zizmor(),
      ['--offline', '--pedantic', '--no-progress', '--strict-collection', '--config', '.github/zizmor.yml', ...inputs],
      { cwd: root, all: true, reject: false },
    );
  /** A workflow that both have to object to. */
  const planted = async (): Promise<string> => {
    const file = join(scratch, '.github', 'workflows', 'planted.yml');
    await mkdir(dirname(file), { recursive: true });
    const lines = [
      'name: planted',
      'on: { issues: { types: [opened] } }',
      'jobs:',
      '  greet:',
      '    runs-on: ubuntu-latest',
      '    needs: [nobody]',
      '    steps:',
      '      - uses: actions/checkout@v7',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's expression, not TypeScript's.
      '      - run: echo "${{ github.event.issue.title }}"',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    return file;
  };

  it('actionlint finds nothing in the workflows', async () => {
    const files = [...ownWorkflows(), ...callers()].map(({ path }) => path);
    assert.ok(files.length >= 3, files.join(', '));
    const { exitCode, all } = await lint(files);
    assert.equal(exitCode, 0, all);
  });

  it('zizmor finds nothing in the workflows, the action and the configuration of updates', async () => {
    const { exitCode, all } = await audit('.github', 'examples/orders/.github');
    assert.equal(exitCode, 0, all);
  });

  it('both find what is wrong', async () => {
    const file = await planted();
    const linted = await lint([file]);
    assert.equal(linted.exitCode, 1, linted.all);
    assert.match(linted.all, /does not exist in "needs"|needs job "nobody"/);
    const audited = await audit(scratch);
    assert.notEqual(audited.exitCode, 0, audited.all);
    for (const finding of ['template-injection', 'unpinned-uses', 'excessive-permissions', 'artipacked']) {
      assert.match(audited.all, new RegExp(`\\[${finding}\\]`));
    }
  });

  it('each workflow gives no permission but by job and names every commit', () => {
    const action = '.github/actions/setup/action.yml';
    const files = [...ownWorkflows(), ...callers()];
    for (const { path, workflow } of files) {
      assert.deepEqual(workflow.permissions, {}, `${path}: permissions of the workflow`);
      for (const [id, job] of Object.entries(workflow.jobs)) {
        assert.equal(typeof job.permissions, 'object', `${path}: permissions of the job ${id}`);
        for (const { uses, with: given } of job.steps ?? []) {
          if (uses?.startsWith('actions/checkout@') !== true) continue;
          assert.equal(given?.['persist-credentials'], false, `${path}: the checkout of ${id} keeps its token`);
        }
      }
    }
    const texts = [...files, { path: action, text: readFileSync(join(root, action), 'utf8') }];
    let counted = 0;
    for (const { path, text } of texts) {
      for (const line of text.split('\n').filter((one) => /^\s*(- )?uses: /.test(one))) {
        counted += 1;
        assert.match(line, /uses: (\.\/\S+|\S+@[0-9a-f]{40} # \S+)$/, `${path}: ${line.trim()}`);
      }
    }
    assert.ok(counted > 5);
  });

  it("the example's workflows fit those that they call", () => {
    let counted = 0;
    for (const { path, workflow } of callers()) {
      for (const [id, job] of Object.entries(workflow.jobs)) {
        const called = calledBy(job);
        if (called === undefined) continue;
        counted += 1;
        const where = `${path}: job ${id}`;
        const { inputs = {}, secrets = {} } = called.workflow.on.workflow_call ?? {};
        const given = [
          ['input', inputs, job.with ?? {}],
          ['secret', secrets, job.secrets === 'inherit' ? secrets : (job.secrets ?? {})],
        ] as const;
        for (const [kind, known, values] of given) {
          for (const name of Object.keys(values))
            assert.ok(name in known, `${where} gives the unknown ${kind} ${name}`);
          for (const [name, { required }] of Object.entries(known)) {
            assert.ok(!required || name in values, `${where} does not give the ${kind} ${name}`);
          }
        }
        // GitHub starts no workflow whose jobs ask for more than the caller may give.
        for (const [inner, { permissions = {} }] of Object.entries(called.workflow.jobs)) {
          for (const [area, right] of Object.entries(permissions)) {
            const granted = job.permissions?.[area];
            const enough = right === 'none' || granted === 'write' || granted === right;
            assert.ok(
              enough,
              `${where} gives ${area}: ${granted ?? 'none'}, but ${called.path} (${inner}) asks for ${right}`,
            );
          }
        }
      }
    }
    assert.ok(counted > 0);
  });

  it('updates are configured for everything that is pinned', async () => {
    interface Update {
      'package-ecosystem': string;
      directory?: string;
      directories?: string[];
    }
    const { updates } = parse(readFileSync(join(root, '.github/dependabot.yml'), 'utf8')) as { updates: Update[] };
    const covered = (ecosystem: string, directory: string): boolean =>
      updates.some(
        (update) =>
          update['package-ecosystem'] === ecosystem &&
          [update.directory, ...(update.directories ?? [])].some(
            (pattern) => pattern !== undefined && matches(directory, pattern),
          ),
      );
    const standIns = /^test\/workflows\/support\/actions\//;
    const files = (await repositoryFiles()).filter((file) => !standIns.test(file) && existsSync(join(root, file)));
    const kinds: readonly (readonly [string, RegExp, (file: string) => string])[] = [
      ['gomod', /(^|\/)go\.mod$/, dirname],
      ['docker', /(^|\/)([^/]+\.)?Dockerfile$/, dirname],
      ['pip', /(^|\/)requirements[^/]*\.txt$/, dirname],
      ['npm', /(^|\/)package\.json$/, dirname],
      ['github-actions', /(^|\/)action\.yml$/, dirname],
      ['github-actions', /(^|\/)\.github\/workflows\/[^/]+$/, (file) => dirname(dirname(dirname(file)))],
    ];
    for (const [ecosystem, pattern, directoryOf] of kinds) {
      const pinned = files
        .filter((file) => pattern.test(file))
        .filter((file) => ecosystem !== 'npm' || hasDependencies(file));
      assert.ok(pinned.length > 0, `nothing is pinned for ${ecosystem}`);
      for (const file of pinned) {
        const directory = join('/', directoryOf(file));
        assert.ok(
          covered(ecosystem, directory),
          `${file}: .github/dependabot.yml has no ${ecosystem} for ${directory}`,
        );
      }
    }
  });

  it('says so when a registry signs nothing, instead of success', async () => {
    const registry = await startVerdaccio();
    try {
      await writeFile(join(scratch, '.npmrc'), `registry=${registry.url}\n`);
      await writeFile(join(scratch, 'package.json'), '{ "name": "consumer", "version": "1.0.0" }\n');
      await mkdir(join(scratch, 'node_modules'));
      const { exitCode, output } = await runCommand('audit', ['--application', scratch]);
      assert.equal(exitCode, 2, output);
      assert.ok(
        output.includes(`the registry ${registry.url}, or the mirror that answers for it, signs nothing`),
        output,
      );
      assert.match(output, /install from a registry that signs/);
    } finally {
      await registry.stop();
    }
  });

  it('takes a count of verified signatures alone for success', () => {
    const registry = 'https://registry.npmjs.org/';
    const good =
      'audited 2 packages in 1s\n\n2 packages have verified registry signatures\n\n1 package has a verified attestation\n';
    assert.match(verdictOf({ exitCode: 0, stdout: good, stderr: '' }, registry), /^2 packages have .* 1 have/);
    const exitCodeOf = (exitCode: number, stdout: string, stderr: string): number => {
      try {
        verdictOf({ exitCode, stdout, stderr }, registry);
      } catch (error) {
        assert.ok(error instanceof WorkflowError);
        return error.exitCode;
      }
      return 0;
    };
    assert.equal(exitCodeOf(0, 'audited 0 packages in 1s', ''), 2);
    assert.equal(
      exitCodeOf(1, '', 'npm error found no dependencies to audit that were installed from a supported registry'),
      2,
    );
    assert.equal(exitCodeOf(1, '', 'npm error code ENOTFOUND\nnpm error network request to https://x failed'), 2);
    assert.equal(exitCodeOf(1, '1 package has an invalid registry signature:\n\nis-odd@3.0.1\n', ''), 1);
  });
});

/** Dependabot's patterns, as far as they are used: `/folder`, or `/folder/*` for what is directly in it. */
function matches(directory: string, pattern: string): boolean {
  return pattern.endsWith('/*') ? dirname(directory) === pattern.slice(0, -2) : directory === pattern;
}

/** A package inside a workspace with nothing of its own to install is raised with the workspace. */
function hasDependencies(file: string): boolean {
  const manifest = JSON.parse(readFileSync(join(root, file), 'utf8')) as Record<string, object | undefined>;
  return ['dependencies', 'devDependencies'].some((kind) => Object.keys(manifest[kind] ?? {}).length > 0);
}
