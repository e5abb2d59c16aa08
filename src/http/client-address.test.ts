import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import type { Clock } from '../lib/clock.ts'
import { clientAddress, proxyNetworks } from './client-address.ts'
import { LIMITED_ADDRESSES_MAX } from './http-limits.ts'
import { RateLimiter } from './rate-limiter.ts'

describe('clientAddress', () => {
  const proxies = proxyNetworks(['10.0.0.0/8', 'fd00::/8', '192.0.2.1/32'])
  const cases: [string, string | undefined, string | undefined, string][] = [
    ['a plain peer', '198.51.100.7', undefined, '198.51.100.7'],
    ['a mapped peer', '::ffff:198.51.100.7', undefined, '198.51.100.7'],
    ['an IPv6 peer by its /64', '2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2::/64'],
    ['a peer with a zone', 'fe80::1%eth0', undefined, 'fe80:0:0:0::/64'],
    ['no peer', undefined, undefined, 'unknown'],
    ['a header that nobody vouches for', '198.51.100.7', '1.1.1.1', '198.51.100.7'],
    ['one proxy', '10.1.1.1', '1.1.1.1', '1.1.1.1'],
    ['a mapped proxy', '::ffff:10.1.1.1', '1.1.1.1', '1.1.1.1'],
    ['two proxies', '10.1.1.1', '1.1.1.1, 192.0.2.1', '1.1.1.1'],
    ['a forged left end', '10.1.1.1', '9.9.9.9, 1.1.1.1', '1.1.1.1'],
    ['a proxy without a header', '10.1.1.1', undefined, '10.1.1.1'],
    ['only proxies', '10.1.1.1', '10.2.2.2', '10.2.2.2'],
    ['an entry that is no address', '10.1.1.1', '1.1.1.1, unknown', '10.1.1.1'],
    ['empty entries', '10.1.1.1', ', ,', '10.1.1.1'],
    ['an IPv6 proxy', 'fd00::1', '2001:db8::1', '2001:db8:0:0::/64'],
    ['shorthand that is no address', '10.1.1.1', '1', '10.1.1.1'],
  ]
  for (const [name, peer, forwarded, expected] of cases) {
    test(name, () => assert.equal(clientAddress(peer, forwarded, proxies), expected))
  }
})

function fixture(): { clock: Clock & { ms: number }; limiter: RateLimiter } {
  const clock = {
    ms: 0,
    nowMs: () => clock.ms,
    monotonicMs: () => clock.ms,
    after: () => ({ cancel: () => {} }),
  }
  return { clock, limiter: new RateLimiter({ burst: 2, refillMs: 1_000 }, clock) }
}

describe('RateLimiter', () => {
  test('a bucket empties, says when to come back, and refills no further than full', () => {
    const { clock, limiter } = fixture()
    assert.deepEqual(limiter.take('a'), { ok: true, remaining: 1, retryAfterMs: 0 })
    assert.deepEqual(limiter.take('a'), { ok: true, remaining: 0, retryAfterMs: 0 })
    assert.deepEqual(limiter.take('a'), { ok: false, remaining: 0, retryAfterMs: 500 })
    clock.ms += 499
    assert.equal(limiter.take('a').ok, false)
    clock.ms += 1
    assert.equal(limiter.take('a').ok, true)
    clock.ms += 1_000_000
    assert.equal(limiter.take('a').remaining, 1)
  })

  test('addresses do not share, and old ones are forgotten', () => {
    const { limiter } = fixture()
    while (limiter.take('a').ok);
    assert.equal(limiter.take('b').ok, true)
    assert.equal(limiter.take('a').ok, false)
    for (let i = 0; i < LIMITED_ADDRESSES_MAX; i++) limiter.take(`x${i}`)
    assert.equal(limiter.take('a').ok, true)
  })
})
