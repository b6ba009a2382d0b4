import assert from 'node:assert/strict';
import fc from 'fast-check';
import semver from 'semver';
import { published } from '../../workflows/npmPackage/summaries.ts';
import { type Bump, changesOf, nextVersion, previewVersion } from '../../workflows/npmPackage/version.ts';

const bumpsOf = (...messages: string[]): (Bump | undefined)[] =>
  messages.map((message) => changesOf([{ hash: 'a'.repeat(40), message }])[0]?.bump);

describe('workflows/npmPackage: versions', () => {
  it('reads from a commit what users notice', () => {
    const messages = ['feat: a', 'fix(api): b', 'perf: c', 'Revert "feat: a"\n\nThis reverts commit 1234567.'];
    assert.deepEqual(bumpsOf(...messages), ['minor', 'patch', 'patch', 'patch']);
    const broken = [
      'feat!: a',
      'chore(api)!: b',
      'fix: c\n\nBREAKING CHANGE: d',
      'docs: e\n\ntext\n\nBREAKING-CHANGE: f',
    ];
    assert.deepEqual(bumpsOf(...broken), ['major', 'major', 'major', 'major']);
    const unnoticed = ['docs: a', 'chore: b', 'Mend something', 'feature: c', 'fix it', 'fixup! feat: d', ''];
    assert.deepEqual(
      bumpsOf(...unnoticed),
      unnoticed.map(() => undefined),
    );
  });

  it('counts on from the last version', () => {
    const next = (last: string, wanted: string, ...bumps: Bump[]) =>
      nextVersion(
        last,
        wanted,
        bumps.map((bump) => ({ hash: '', bump, subject: '' })),
      );
    assert.equal(next('1.2.3', '1.0.0', 'patch', 'minor', 'patch'), '1.3.0');
    assert.equal(next('1.2.3', '1.0.0', 'patch', 'major'), '2.0.0');
    assert.equal(next('0.2.3', '0.1.0', 'minor'), '0.2.4');
    assert.equal(next('0.2.3', '0.1.0', 'major'), '0.3.0');
    assert.equal(next('0.2.3', '1.0.0', 'patch'), '1.0.0', 'raised by hand');
    assert.equal(next('1.2.3', '9.0.0'), undefined, 'nothing that users notice');
  });

  it('never counts backwards, and tries out below what it becomes', () => {
    const number = fc.nat({ max: 50 });
    const version = fc.tuple(number, number, number).map((parts) => parts.join('.'));
    const bump = fc.constantFrom<Bump>('major', 'minor', 'patch');
    const commit = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(version, version, fc.array(bump, { minLength: 1 }), commit, (last, wanted, bumps, hash) => {
        const next = nextVersion(
          last,
          wanted,
          bumps.map((one) => ({ hash, bump: one, subject: '' })),
        );
        assert.ok(next !== undefined && semver.gt(next, last) && semver.gte(next, wanted));
        const preview = previewVersion(next, 12, hash);
        assert.ok(semver.valid(preview) === preview && semver.lt(preview, next) && semver.gt(preview, last));
      }),
    );
  });

  it('shows what others wrote as text', () => {
    const release = {
      name: '@example/x',
      version: '1.0.0',
      distTag: 'latest',
      commit: 'b'.repeat(40),
      changes: [{ hash: 'c'.repeat(40), bump: 'minor' as const, subject: '<img src=x> | **a** [b](c) @everyone `d`' }],
    };
    const text = published(release, 'https://registry.example/', true, undefined);
    assert.ok(text.includes('\\<img src=x\\> \\| \\*\\*a\\*\\* \\[b\\]\\(c\\) \\@everyone \\`d\\`'), text);
  });
});
