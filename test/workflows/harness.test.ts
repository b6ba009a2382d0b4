import assert from 'node:assert/strict';
import { runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { dispatch } from './support/events.ts';

const WORKFLOW = '.github/workflows/probe.yml';

/** What the tests of the workflows rely on. */
describe('workflow tests, what runs a workflow', () => {
  let application: Application;

  beforeEach(async () => {
    application = await createApplication();
  });
  afterEach(async () => {
    delete process.env.PLANTED_CREDENTIAL;
    await application.remove();
  });

  const probe = async (...steps: string[]): Promise<void> => {
    const head = [
      'on: { workflow_dispatch: { inputs: { word: { type: string } } } }',
      'jobs:',
      '  probe:',
      '    runs-on: ubuntu-latest',
      '    steps:',
    ];
    await application.write(WORKFLOW, `${[...head, ...steps.map((step) => `      ${step}`)].join('\n')}\n`);
    await application.commit('ci: probe');
  };

  it("sees a secret that is shown, and lets nothing of this machine's in", async () => {
    process.env.PLANTED_CREDENTIAL = 'planted-credential-of-the-machine';
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: GitHub's expressions, not TypeScript's.
    await probe(
      '- run: env; echo "said=$SAID" >> "$GITHUB_OUTPUT"; echo "# Said" >> "$GITHUB_STEP_SUMMARY"',
      '  env: { SAID: "${{ secrets.SHOWN }}", INPUT: "${{ inputs.word }}", VARIABLE: "${{ vars.NAME }}" }',
    );
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the same.
    const result = await runAct({
      application,
      workflow: WORKFLOW,
      event: dispatch({ word: 'word-of-the-input' }),
      secrets: { SHOWN: 'shown-secret', HIDDEN: 'hidden-secret', EMPTY: '' },
      variables: { NAME: 'value-of-the-variable' },
      environment: { GITHUB_API_URL: 'http://127.0.0.1:9' },
    });
    assert.equal(result.exitCode, 0, result.output);
    assert.deepEqual(result.leaked, ['SHOWN']);
    assert.equal(result.value('said'), 'shown-secret');
    assert.deepEqual(
      result.summaries.map((text) => text.trim()),
      ['# Said'],
    );
    assert.deepEqual(Object.values(result.jobs), ['success']);
    for (const text of ['word-of-the-input', 'value-of-the-variable', 'GITHUB_API_URL=http://127.0.0.1:9']) {
      assert.ok(result.output.includes(text), `${text} is not in ${result.output}`);
    }
    assert.doesNotMatch(result.output, /planted-credential/);
  });

  it('tells a run that fails, and an action that nobody stands in for', async () => {
    await probe('- run: exit 3');
    const result = await runAct({ application, workflow: WORKFLOW, event: dispatch() });
    assert.equal(result.exitCode, 1, result.output);
    assert.deepEqual(Object.values(result.jobs), ['failure']);
    await probe('- uses: somebody/something@v1');
    await assert.rejects(
      runAct({ application, workflow: WORKFLOW, event: dispatch() }),
      /somebody\/something@v1 has no stand-in/,
    );
  });
});
