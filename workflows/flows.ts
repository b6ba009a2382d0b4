/** Every flow by its name. Each is loaded only when it runs: loading them all takes longer than what some of them do. */

import type { Flow } from './options.ts';

/** Adding a flow: its name, as it calls itself, and where it is. */
export const flows: Readonly<Record<string, () => Promise<Flow>>> = {
  audit: async () => (await import('./supplyChain/audit.ts')).audit,
  'deploy-apply': async () => (await import('./deploy/apply.ts')).deployApply,
  'deploy-plan': async () => (await import('./deploy/plan.ts')).deployPlan,
  'docker-image': async () => (await import('./dockerImage/flow.ts')).dockerImage,
  drift: async () => (await import('./drift/drift.ts')).drift,
  evaluate: async () => (await import('./evaluate/evaluate.ts')).evaluate,
  'npm-install': async () => (await import('./npmPackage/install.ts')).npmInstall,
  'npm-pack': async () => (await import('./npmPackage/pack.ts')).npmPack,
  'npm-publish': async () => (await import('./npmPackage/publish.ts')).npmPublish,
  preview: async () => (await import('./preview/preview.ts')).preview,
  'review-environment': async () => (await import('./reviewEnvironment/reviewEnvironment.ts')).reviewEnvironment,
  rotate: async () => (await import('./rotate/rotate.ts')).rotate,
};
