import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { keyPath } from '../../stacks/configuration/findings.ts';
import { editDistance, suggest } from '../../stacks/configuration/suggest.ts';
import { findingsOf } from '../components/mocks.ts';
import { holds } from '../holds.ts';
import { type Configuration, project, read, valid } from './source.ts';

describe('readConfiguration, whatever it is given', () => {
  let folder: ReturnType<typeof project>;
  before(() => {
    folder = project({ 'orders/x': '' });
  });
  after(() => folder.remove());

  it('returns or throws findings, and never shows a value where a secret belongs', () => {
    const junk = fc.oneof(fc.jsonValue(), fc.constant({ env: 'USERNAME' }), fc.constant({ generate: 1 }));
    holds(
      fc.property(fc.constantFrom(...paths(valid())), junk, (path, value) => {
        const configuration = valid();
        set(configuration, path, value);
        try {
          read(configuration, folder.root);
        } catch (error) {
          const lines = findingsOf(() => {
            throw error;
          });
          assert.ok(lines.length > 0);
          for (const line of lines) assert.match(line, /^development-operations:[^ ].*: .+/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('refuses every secret in plain text without showing it', () => {
    const leaves: (string | number)[][] = [
      ['registry', 'username'],
      ['registry', 'password'],
      ['database', 'adminPassword'],
      ['applications', 'orders', 'secrets', 'TOKEN'],
    ];
    const text = fc.stringMatching(/^canary[a-zA-Z0-9]{1,30}$/);
    holds(
      fc.property(fc.subarray(leaves, { minLength: 1 }), text, (chosen, value) => {
        const configuration = valid();
        for (const path of chosen) set(configuration, path, value);
        const found = findingsOf(() => read(configuration, folder.root));
        assert.deepEqual(found.map((line) => line.split(': ')[0]).sort(), chosen.map(keyPath).sort());
        assert.ok(!found.join('\n').includes(value));
      }),
    );
  });

  it('finds an unknown key at any level, and only that', () => {
    const places = [[], ...paths(valid()).filter((path) => isSection(get(valid(), path)))];
    const name = fc.stringMatching(/^zz[a-z]{1,8}$/);
    holds(
      fc.property(fc.constantFrom(...places), name, (path, key) => {
        const configuration = valid();
        set(configuration, [...path, key], 1);
        const found = findingsOf(() => read(configuration, folder.root));
        assert.equal(found.length, 1, found.join('\n'));
        assert.ok(
          // A short key may happen to be near a known one.
          found[0]?.startsWith(`${keyPath([...path, key])}: is not a known key`),
          found[0],
        );
      }),
    );
  });
});

describe('suggest', () => {
  it('finds the word behind one slip', () => {
    const known = ['kubernetes', 'registry', 'database', 'applications'];
    holds(
      fc.property(
        fc.constantFrom(...known),
        fc.nat(),
        fc.constantFrom('drop', 'double', 'swap'),
        (word, seed, slip) => {
          const at = seed % (word.length - 1);
          const [before, one, two, after] = [word.slice(0, at), word[at], word[at + 1], word.slice(at + 2)];
          const mistyped = {
            drop: before + two + after,
            double: before + one + one + two + after,
            swap: before + two + one + after,
          };
          assert.equal(suggest(mistyped[slip as 'drop'], known), word);
        },
      ),
    );
  });

  it('is silent when nothing is near', () => {
    assert.equal(suggest('ab', ['kubernetes', 'stack']), undefined);
    assert.equal(suggest('x', []), undefined);
  });

  it('measures a distance', () => {
    const word = fc.string({ maxLength: 12 });
    holds(fc.property(word, (text) => editDistance(text, text) === 0));
    holds(fc.property(word, word, (one, other) => editDistance(one, other) === editDistance(other, one)));
    holds(fc.property(word, word, (one, other) => (editDistance(one, other) === 0) === (one === other)));
  });
});

/** The paths of all values of a configuration. */
function paths(value: unknown, before: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const path = [...before, Array.isArray(value) ? Number(key) : key];
    return [path, ...paths(item, path)];
  });
}

function get(configuration: Configuration, path: readonly (string | number)[]): unknown {
  return path.reduce<Configuration>((value, key) => value[key], configuration);
}

function set(configuration: Configuration, path: readonly (string | number)[], value: unknown): void {
  const parent = get(configuration, path.slice(0, -1)) as Configuration;
  parent[path.at(-1) ?? ''] = value;
}

/** Whether a value is a mapping with fixed keys: not a reference, a list or a mapping of names. */
function isSection(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return !keys.some((key) => ['env', 'generate', 'orders', 'TOKEN', 'main'].includes(key));
}
