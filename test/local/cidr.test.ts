import assert from 'node:assert/strict';
import fc from 'fast-check';
import { overlaps, parseCidr, routeConflicts } from '../../local/cidr.ts';

const cidr = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 32 }))
  .map(([address, prefix]) => `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')}/${prefix}`);

describe('local/cidr', () => {
  it('finds an overlap exactly where one network holds the first address of the other', () => {
    const bits = (text: string) => {
      const [address = '', prefix] = text.split('/');
      const binary = address.split('.').map((part) => Number(part).toString(2).padStart(8, '0'));
      return binary.join('').slice(0, Number(prefix));
    };
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const expected = bits(a).startsWith(bits(b)) || bits(b).startsWith(bits(a));
        assert.equal(overlaps(parseCidr(a), parseCidr(b)), expected);
      }),
    );
  });

  it('refuses what is no IPv4 network', () => {
    for (const text of ['300.1.1.1', '10.0.0.0/33', '10.0.0', 'fe80::/10', '']) {
      assert.throws(() => parseCidr(text), /is not an IPv4 network/);
    }
  });

  it('names the route of another network with our addresses, and only that', () => {
    const routes = [
      { dst: 'default', gateway: '192.168.1.1', dev: 'eth0' },
      { dst: '192.168.1.0/24', dev: 'eth0' },
      { dst: '10.0.0.0/8', gateway: '192.168.1.2', dev: 'eth0' },
      { dst: '10.244.0.0/24', dev: 'devops-cni0' },
      { dst: '172.31.0.0/16', dev: 'eth1' },
    ];
    const conflicts = routeConflicts(['172.31.240.0/22', '10.244.0.0/16'], routes, ['devops-cni0', 'veth*']);
    assert.deepEqual(conflicts, [{ network: '172.31.240.0/22', route: routes[4] }]);
  });

  it('takes a route inside ours for a conflict even through a gateway', () => {
    const route = { dst: '10.244.7.0/24', gateway: '192.168.1.2', dev: 'tun0' };
    assert.equal(routeConflicts(['10.244.0.0/16'], [route], []).length, 1);
  });
});
