import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, record } from '../testing/consumer-writes.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { MemoryStore } from './memory-store.ts'

test('commits of several accounts come verified, in order, and the cursor follows', async () => {
  await using kit = await ConsumerKit.start()
  const repos = ['a', 'b', 'c'].map((seed) => kit.account(seed))
  for (let i = 0; i < 5; i++) {
    for (const repo of repos) kit.commit(repo, [create(`k${i}`)])
  }
  const { consumer, seen } = await kit.run()
  await caughtUp(consumer, 15)
  assert.deepEqual(seen.faults, [])
  for (const repo of repos) assert.deepEqual(seen.records(repo.did), truthOf(repo))
  assert.equal(seen.deliveries.length, 15)
  assert.ok(seen.deliveries.every((d) => d.kind === 'commit' && d.verdict === 'verified'))
})

test('I3: after an #identity the key that was replaced counts no more, though it fits', async () => {
  await using kit = await ConsumerKit.start()
  const repo = kit.account('a stolen key')
  kit.commit(repo, [create('a')])
  const { consumer, seen } = await kit.run()
  await caughtUp(consumer, 1)
  const stolen = repo.key
  repo.rotateKey('another key')
  kit.identities.setKey(repo)
  repo.key = stolen
  const time = new Date().toISOString()
  kit.stream.send('#identity', { did: repo.did, time })
  await caughtUp(consumer, kit.commit(repo, [create('b')]))
  assert.deepEqual(seen.kinds(), ['commit live', 'identity'])
  assert.deepEqual(consumer.stats.refused, { 'signature-invalid': 1 })
})

test('a gap is repaired by the difference before later events', async () => {
  await using kit = await ConsumerKit.start()
  const store = new MemoryStore()
  const repo = kit.account('gap')
  kit.commit(repo, [create('a'), create('b'), create('c')])
  const { consumer, seen, notices } = await kit.run({ store })
  await caughtUp(consumer, 1)
  repo.apply([
    { action: 'update', path: 'org.example.note/a', record: record('changed') },
    { action: 'delete', path: 'org.example.note/b' },
    create('d'),
  ])
  const seq = kit.commit(repo, [create('e')])
  await caughtUp(consumer, seq)
  await repaired(store, [repo.did])
  assert.deepEqual(seen.faults, [])
  assert.deepEqual(seen.records(repo.did), truthOf(repo))
  assert.deepEqual(seen.kinds(), ['commit live', 'commit repair', 'repo-complete'])
  const repair = seen.deliveries[1]
  assert.ok(repair?.kind === 'commit')
  assert.deepEqual(
    repair.ops.map(({ action, rkey }) => `${action} ${rkey}`),
    ['update a', 'delete b', 'create d', 'create e'],
  )
  assert.deepEqual(
    notices.map(({ kind }) => kind).filter((kind) => kind !== 'switched'),
    ['desynchronized', 'repaired'],
  )
  const next = kit.commit(repo, [create('f')])
  await caughtUp(consumer, next)
  assert.deepEqual(seen.kinds().slice(3), ['commit live'])
})
