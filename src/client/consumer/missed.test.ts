/** What an application holds beyond what its store has noted. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cidToString } from '../../data/cid.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { create, remove } from '../testing/consumer-writes.ts'
import { MemoryStore } from './memory-store.ts'
import { noteHeld } from './missed.ts'

describe('records that the store was not told of before a kill', () => {
  it('are deleted by the next repair when they are gone', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('killed')
    kit.commit(repo, [create('a'), create('b')])
    const held = [...repo.records()].map(([path, cid]) => ({ path, cid: cidToString(cid) }))
    assert.equal(held.length, 2)
    kit.commit(repo, [remove('b')])
    // The events are gone from the stream when the application comes back with an empty store.
    kit.stream.resetSequence(9)
    const store = new MemoryStore()
    await noteHeld(store, repo.did, held)
    const seq = kit.commit(repo, [create('c')])
    const { consumer, seen } = await kit.run({ store, backfill: 'seen' })
    await caughtUp(consumer, seq)
    await repaired(store, [repo.did])
    const ops = seen.deliveries.flatMap((one) => (one.kind === 'commit' ? one.ops : []))
    const actions = ops.map(({ action, path }) => `${action} ${path.split('/')[1] ?? ''}`)
    assert.deepEqual(actions.toSorted(), ['create c', 'delete b'])
    const known = store.records(repo.did, '', 10).map(({ path }) => path)
    assert.deepEqual(known, Object.keys(truthOf(repo)).toSorted())
  })

  it('have CIDs', async () => {
    const held = [{ path: 'org.example.note/a', cid: 'nonsense' }]
    await assert.rejects(noteHeld(new MemoryStore(), 'did:plc:x', held), { code: 'SYNTAX_INVALID' })
  })
})
