import assert from 'node:assert/strict';
import fc from 'fast-check';
import { assignAddresses, type Claimant, hostAddresses } from '../../../local/kubernetes/controller/addresses.ts';

const POOL = hostAddresses('172.31.241.0/29');

function claimants(): fc.Arbitrary<Claimant[]> {
  const one = fc.record({
    key: fc.stringMatching(/^[a-c]{1,2}\/[a-d]{1,3}$/),
    current: fc.option(fc.constantFrom(...POOL, '10.0.0.1'), { nil: undefined }),
    created: fc.integer({ min: 0, max: 3 }),
  });
  return fc.uniqueArray(one, { selector: ({ key }) => key, maxLength: 12 });
}

describe('local/kubernetes: addresses of load balancers', () => {
  it('lists the addresses of a network without its first and last', () => {
    assert.deepEqual(
      POOL,
      [1, 2, 3, 4, 5, 6].map((last) => `172.31.241.${last}`),
    );
    const large = hostAddresses('172.31.241.0/24');
    assert.equal(large.length, 254);
    assert.equal(large.at(-1), '172.31.241.254');
  });

  it('gives no address twice, none outside of the pool, and as many as there are', () => {
    fc.assert(
      fc.property(claimants(), (list) => {
        const assigned = assignAddresses(list, POOL);
        const addresses = [...assigned.values()];
        assert.equal(new Set(addresses).size, addresses.length);
        assert.ok(addresses.every((address) => POOL.includes(address)));
        assert.equal(assigned.size, Math.min(list.length, POOL.length));
      }),
    );
  });

  it('does not depend on the order, and keeps what it gave', () => {
    fc.assert(
      fc.property(claimants(), (list) => {
        const assigned = assignAddresses(list, POOL);
        assert.deepEqual(new Map(assignAddresses([...list].reverse(), POOL)), assigned);
        const later = list.map((claimant) => ({ ...claimant, current: assigned.get(claimant.key) }));
        assert.deepEqual(new Map(assignAddresses(later, POOL)), assigned);
      }),
    );
  });

  it('leaves an address with the elder of two, and gives the other a new one', () => {
    const assigned = assignAddresses(
      [
        { key: 'a/young', current: '172.31.241.1', created: 2 },
        { key: 'a/old', current: '172.31.241.1', created: 1 },
      ],
      POOL,
    );
    assert.equal(assigned.get('a/old'), '172.31.241.1');
    assert.equal(assigned.get('a/young'), '172.31.241.2');
  });
});
