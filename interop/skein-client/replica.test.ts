import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Consumed, ConsumedOperation } from './consumed.ts'
import { Replica } from './replica.ts'

const DID = 'did:plc:alice'
const NOTE = 'org.example.note/one'

const commit = (rev: string, operations: ConsumedOperation[], cause = 'live'): Consumed => {
  return {
    kind: 'commit',
    did: DID,
    seq: 1,
    rev,
    commit: 'c',
    cause,
    verdict: 'verified',
    status: null,
    operations,
  }
}
const deleted: Consumed = { ...commit('', []), kind: 'account', rev: null, status: 'deleted' }

const faultsOf = (...life: Consumed[]): number => new Replica([life]).faults.length

describe('what an application holds', () => {
  it('follows creates, updates, deletes and repairs', () => {
    const replica = new Replica([
      [
        commit('1', [
          ['create', NOTE, 'a'],
          ['create', 'org.example.note/two', 'b'],
        ]),
        commit('2', [['update', NOTE, 'c']]),
        commit('3', [['delete', 'org.example.note/two', null]], 'repair'),
      ],
    ])
    assert.deepEqual(replica.faults, [])
    assert.deepEqual([...replica.records(DID)], [[NOTE, 'c']])
  })

  it('ends with the account', () => {
    assert.equal(
      new Replica([[commit('1', [['create', NOTE, 'a']]), deleted]]).records(DID).size,
      0,
    )
  })

  it('takes what a later life repeats', () => {
    const create = commit('1', [['create', NOTE, 'a']])
    const replica = new Replica([[create], [create]])
    assert.deepEqual(replica.faults, [])
    assert.deepEqual([...replica.records(DID)], [[NOTE, 'a']])
  })

  it('finds fault with a create over a record, and a delete or update of none', () => {
    const create: ConsumedOperation[] = [['create', NOTE, 'a']]
    assert.equal(faultsOf(commit('1', create), commit('2', create)), 1)
    assert.equal(faultsOf(commit('1', [['delete', NOTE, null]])), 1)
    assert.equal(faultsOf(commit('1', [['update', NOTE, 'a']])), 1)
    assert.equal(faultsOf(commit('1', create), commit('2', create, 'repair')), 1)
  })
})
