import assert from 'node:assert/strict';
import bcrypt from 'bcryptjs';
import fc from 'fast-check';
import { bcryptHash, randomString, type StringRules, shuffle } from '../../../plugins/random/strings.ts';

const CLASSES = {
  Upper: /[A-Z]/g,
  Lower: /[a-z]/g,
  Numeric: /[0-9]/g,
  Special: /[!@#$%&*()\-_=+[\]{}<>:?]/g,
};

const ALL: StringRules = {
  length: 1,
  upper: true,
  lower: true,
  numeric: true,
  special: true,
  minUpper: 0,
  minLower: 0,
  minNumeric: 0,
  minSpecial: 0,
  overrideSpecial: '',
};

function count(text: string, characters: RegExp): number {
  return text.match(characters)?.length ?? 0;
}

/** Pearson's statistic of observed counts against equal ones. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
}

describe('randomString', () => {
  it('has its length, its minimums and only allowed characters', () => {
    const minimum = fc.nat(5);
    const rules = fc
      .record({
        extra: fc.nat(40),
        upper: fc.boolean(),
        lower: fc.boolean(),
        numeric: fc.boolean(),
        special: fc.boolean(),
        minUpper: minimum,
        minLower: minimum,
        minNumeric: minimum,
        minSpecial: minimum,
      })
      .filter((r) => r.upper || r.lower || r.numeric || r.special)
      .map(({ extra, ...r }) => ({
        ...ALL,
        ...r,
        length: extra + r.minUpper + r.minLower + r.minNumeric + r.minSpecial,
      }));
    fc.assert(
      fc.property(rules, (r) => {
        const text = randomString(r);
        assert.equal(text.length, r.length);
        let known = 0;
        for (const [name, characters] of Object.entries(CLASSES)) {
          const found = count(text, characters);
          known += found;
          const minimumOf = r[`min${name}` as 'minUpper'];
          const enabled = r[name.toLowerCase() as 'upper'];
          if (enabled) assert.ok(found >= minimumOf, `${name} in ${text}`);
          else assert.equal(found, minimumOf, `${name} in ${text}`);
        }
        assert.equal(known, text.length);
      }),
    );
  });

  it('takes special characters from overrideSpecial, by code point', () => {
    const text = randomString({
      ...ALL,
      length: 50,
      upper: false,
      lower: false,
      numeric: false,
      overrideSpecial: '🐢_',
    });
    assert.match(text, /^[🐢_]{50}$/u);
  });

  it('refuses an empty alphabet', () => {
    assert.throws(
      () => randomString({ ...ALL, upper: false, lower: false, numeric: false, special: false }),
      /no character to choose/,
    );
  });

  // 83 characters do not divide 256: a bare modulo of bytes would choose the first seven a third more often, and put the
  // statistic in the thousands. The bound is that of one false alarm in ten million runs.
  it('chooses every character equally often', () => {
    const counts = new Map<string, number>();
    for (const character of randomString({ ...ALL, length: 200_000 })) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    assert.equal(counts.size, 83);
    assert.ok(chiSquare([...counts.values()]) < 166, `chi-square ${chiSquare([...counts.values()])}`);
  });

  it('puts the characters of a minimum at every place equally often', () => {
    const places = [0, 0, 0, 0, 0];
    for (let run = 0; run < 10_000; run++) {
      const at = randomString({ ...ALL, length: 5, numeric: false, minNumeric: 1 }).search(/[0-9]/);
      places[at] = (places[at] ?? 0) + 1;
    }
    assert.ok(chiSquare(places) < 40, `chi-square ${chiSquare(places)} of ${places}`);
  });
});

describe('shuffle', () => {
  it('keeps every item', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (items) => {
        assert.deepEqual(shuffle(items).sort(), [...items].sort());
      }),
    );
  });
});

describe('bcryptHash', () => {
  it('is a hash of the text with the cost and the mark of the official provider', async () => {
    const hash = await bcryptHash('correct horse');
    assert.match(hash, /^\$2a\$10\$.{53}$/);
    assert.equal(await bcrypt.compare('correct horse', hash), true);
    assert.equal(await bcrypt.compare('correct house', hash), false);
  });

  it('counts the first 72 bytes', async () => {
    const hash = await bcryptHash('x'.repeat(100));
    assert.equal(await bcrypt.compare('x'.repeat(72), hash), true);
  });
});
