/** Consumers that verify nothing: what comes twice, and what is missing. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeHost } from '../../../test/support/fake-host.ts'
import type { SignedRepo } from '../../../test/support/signed-repo.ts'
import { eventually } from '../../../test/support/waiting.ts'
import type { ConsumerNotice } from './consumer-types.ts'
import { caughtUp, ConsumerKit, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

function gapsOf(notices: readonly ConsumerNotice[]) {
  return notices.flatMap((notice) => (notice.kind === 'repo-gap' ? [notice] : []))
}

function revOf(repo: SignedRepo): string {
  return repo.head?.rev ?? ''
}

describe('an unverified consumer', () => {
  it('tells of each gap of a repository, and delivers what comes after it', async () => {
    await using kit = await ConsumerKit.start()
    const [broken, whole] = [kit.account('broken'), kit.account('whole')]
    kit.commit(broken, [create('a')])
    kit.commit(whole, [create('a')])
    const known = revOf(broken)
    broken.apply([create('lost')])
    const since = revOf(broken)
    kit.commit(broken, [create('b')])
    kit.commit(whole, [create('b')])
    const seq = kit.commit(broken, [create('c')])
    const { consumer, seen, notices } = await kit.run({ verify: 'none' })
    await caughtUp(consumer, seq)
    const gaps = gapsOf(notices)
    assert.equal(gaps.length, 1)
    const { did, place, ...rest } = gaps[0] as (typeof gaps)[0]
    assert.deepEqual([did, place.seq, rest.known, rest.since], [broken.did, 3, known, since])
    assert.equal(consumer.stats.gaps, 1)
    assert.deepEqual(seen.records(whole.did), truthOf(whole))
    assert.deepEqual(Object.keys(seen.records(broken.did)).length, 3)
    assert.deepEqual([kit.repos.requests, kit.repos.updates], [[], []])
    assert.equal(kit.identities.refreshes.length, 0)
  })

  it('delivers once what two services say, one after the other', async () => {
    await using kit = await ConsumerKit.start()
    const first = await FakeHost.start()
    await using second = await FakeHost.start()
    const repos = [kit.account('one'), kit.account('two')]
    // The second service counts otherwise, and has said everything too.
    second.skipTo(1_000)
    for (let i = 0; i < 10; i++) {
      for (const repo of repos) {
        const body = repo.apply([create(`k${i}`)])
        first.send('#commit', body)
        second.send('#commit', body)
      }
    }
    const { consumer, seen, notices } = await kit.run({
      verify: 'none',
      services: [first.endpoint, second.endpoint],
      policies: { margin: 'passive', reconnectMaxMs: 20, switchAfterMs: 50, preferred: 'never' },
    })
    await caughtUp(consumer, 20)
    await first[Symbol.asyncDispose]()
    for (const repo of repos) second.send('#commit', repo.apply([create('last')]))
    await eventually(
      () =>
        repos.every((repo) => 'org.example.note/last' in seen.records(repo.did)) ? true : null,
      () => JSON.stringify([consumer.stats, consumer.state]),
    )
    for (const repo of repos) {
      assert.deepEqual(seen.records(repo.did), truthOf(repo))
      const revs = seen.revs(repo.did)
      assert.deepEqual(revs, [...new Set(revs)].toSorted(), 'each once, in order')
    }
    assert.deepEqual(seen.faults, [])
    assert.deepEqual(gapsOf(notices), [])
    assert.ok(consumer.stats.skipped.stale > 0, 'the second service said some of it again')
  })

  it('skips what it has seen when the service says it again under other numbers', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('again')
    const bodies = [create('a'), create('b')].map((write) => repo.apply([write]))
    const send = () => bodies.map((body) => kit.stream.send('#commit', body))
    send()
    const { consumer, seen, notices } = await kit.run({ verify: 'none' })
    await caughtUp(consumer, 2)
    send()
    kit.stream.dropConnections()
    await caughtUp(consumer, kit.commit(repo, [create('c')]))
    assert.equal(seen.deliveries.length, 3)
    assert.equal(consumer.stats.skipped.stale, 2)
    assert.deepEqual(gapsOf(notices), [])
  })

  it('knows no more repositories than it is told to', async () => {
    await using kit = await ConsumerKit.start()
    const [first, second] = [kit.account('first'), kit.account('second')]
    const body = first.apply([create('a')])
    kit.stream.send('#commit', body)
    kit.commit(second, [create('a')])
    const seq = kit.stream.send('#commit', body)
    const { consumer, seen } = await kit.run({ verify: 'none', limits: { cachedReposMax: 1 } })
    await caughtUp(consumer, seq)
    assert.equal(seen.deliveries.length, 3)
  })
})
