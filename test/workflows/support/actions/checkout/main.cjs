const { execFileSync } = require('node:child_process');
const { cpSync, existsSync, mkdirSync, rmSync } = require('node:fs');
const { join, resolve } = require('node:path');
const { fail, harness, input, output } = require('./shared.cjs');

const { repositories, tool, head } = harness();
const path = input('path');
const target = resolve(process.env.GITHUB_WORKSPACE, path);
// act leaves job.workflow_repository and job.workflow_sha empty: this folder is where the called workflow's own go.
const ofTool = path === '.development-operations' && input('repository') === '';
if (ofTool) {
  rmSync(target, { recursive: true, force: true });
  cpSync(tool, target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  console.log(`the workflow's own repository is in ${path}`);
} else {
  const repository = input('repository') || process.env.GITHUB_REPOSITORY;
  const source = repositories[repository];
  if (source === undefined) fail(`no repository ${repository} in this run; there are ${Object.keys(repositories)}`);
  mkdirSync(target, { recursive: true });
  const git = (...args) => execFileSync('git', args, { cwd: target, encoding: 'utf8' }).trim();
  const ref = input('ref') || head;
  const depth = input('fetch-depth');
  if (!existsSync(join(target, '.git'))) {
    git('init', '--quiet', '--initial-branch=main');
    git('remote', 'add', 'origin', `file://${source}`);
  }
  const all = ['--tags', 'origin', '+refs/heads/*:refs/remotes/origin/*'];
  git('fetch', '--quiet', ...(depth === '0' ? all : ['--no-tags', `--depth=${depth}`, 'origin', ref]));
  const commit = git('rev-parse', depth === '0' ? `${ref}^{commit}` : 'FETCH_HEAD^{commit}');
  git('checkout', '--quiet', '--force', '-B', 'checked-out', commit);
  if (input('persist-credentials') !== 'false') {
    const token = Buffer.from(`x-access-token:${input('token')}`).toString('base64');
    git('config', '--local', 'http.https://github.com/.extraheader', `AUTHORIZATION: basic ${token}`);
  }
  output('commit', commit);
  console.log(`${repository} at ${commit} is in ${path || 'the workspace'}`);
}
