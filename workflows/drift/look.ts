/** Compares an environment with its state and its configuration. Reads only: no lock, nothing written to the state. */

import { readState, type State } from '../engine/deployed.ts';
import { type EngineRun, runEngine } from '../engine/run.ts';
import { withStack } from '../engine/stack.ts';
import type { Target } from '../engine/target.ts';
import { deployedVersion, withVersion } from '../engine/version.ts';
import { EXIT, WorkflowError } from '../failure.ts';
import { HandChanges } from './byHand.ts';
import type { Drift } from './issue.ts';

/** A deployment that ends meanwhile makes two halves that do not fit: then it looks again. */
const TRIES = 3;

/** @throws WorkflowError when the environment was never deployed, is being deployed all the time, or cannot be looked at */
export async function lookForDrift(target: Target): Promise<Drift> {
  return await withStack(target, 'refuse', async ({ target: copied, state }) => {
    let before = deployed(target, state);
    for (let tried = 0; tried < TRIES; tried += 1) {
      const found = await lookOnce(withVersion(copied, deployedVersion(before)));
      const after = deployed(target, await readState(copied));
      if (before.time === after.time) return { ...found, pending: after.pending };
      before = after;
    }
    throw new WorkflowError(
      `the environment "${target.stack}" changed while it was looked at, ${TRIES} times`,
      'wait until its deployment has ended, and run it again',
    );
  });
}

async function lookOnce(target: Target): Promise<Omit<Drift, 'pending'>> {
  const notDeployed = await whole(target, runEngine(target, 'preview'));
  const hands = new HandChanges();
  const live = await whole(target, runEngine(target, 'look', { onEvent: (event) => hands.take(event) }));
  return {
    environment: target.stack,
    byHand: hands.steps(),
    notDeployed: notDeployed.steps,
    warnings: [...new Set([...notDeployed.warnings, ...live.warnings])],
  };
}

function deployed({ stack }: Target, state: State | undefined): State {
  if (state && state.resources.length > 0) return state;
  throw new WorkflowError(
    `the environment "${stack}" was never deployed, or was removed: its state is empty`,
    'deploy it first, or correct the address of the state (PULUMI_BACKEND_URL, the secret backend)',
  );
}

async function whole({ stack }: Target, running: Promise<EngineRun>): Promise<EngineRun> {
  const run = await running;
  if (run.exitCode === 0) return run;
  throw new WorkflowError(
    `the environment "${stack}" could not be looked at:\n${run.errors.join('\n')}`,
    'mend what the errors name, and run it again',
    EXIT.refused,
  );
}
