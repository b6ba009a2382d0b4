/**
 * Mocha's spec reporter that also writes its counts, the failed tests and those that passed only when they were tried
 * again to $TEST_COUNTS, so that one report can be made of several runs.
 */
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const failed = [];
    const again = [];
    runner.on('fail', (test, error) =>
      failed.push({ title: test.fullTitle(), message: String(error?.message ?? error) }),
    );
    runner.on('retry', (test, error) =>
      again.push({ title: test.fullTitle(), message: String(error?.message ?? error) }),
    );
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      if (!process.env.TEST_COUNTS) return;
      writeFileSync(process.env.TEST_COUNTS, JSON.stringify({ passes, failures, pending, failed, again }));
    });
  }
};
