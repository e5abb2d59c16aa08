import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IndexEntry } from '../log/log-types.ts'
import { type OwnAct, ownActOf, ownOrigin, ownStatus, rowAfterOwn } from './own-events.ts'
import { accountRow } from './testing/fixtures.ts'

const entry = (origin: Pick<IndexEntry, 'hostId' | 'hostEpoch' | 'hostSeq'>): IndexEntry => ({
  seq: 9,
  kind: 'account',
  purged: false,
  offset: 0,
  length: 1,
  crc: 0,
  timeMs: 0,
  didHash: 0n,
  ...origin,
})

test('the log tells the acts apart, and whose host the account was at', () => {
  for (const act of ['takedown', 'reversal', 'correction'] satisfies OwnAct[]) {
    const origin = ownOrigin(act, accountRow({ hostId: 42 }))
    assert.equal(origin.hostId, 0)
    assert.deepEqual(ownActOf(entry(origin)), { act, hostId: 42 })
  }
  const strange = entry({ hostId: 0, hostEpoch: 77, hostSeq: 1 })
  assert.throws(() => ownActOf(strange), { code: 'LOG_DAMAGED' })
})

test('a takedown and its end leave what the host says alone', () => {
  const statuses = [
    accountRow(),
    accountRow({ active: false, status: 'deactivated', inactiveSeq: 3 }),
    // The same word from the host is another matter.
    accountRow({ active: false, status: 'takendown', inactiveSeq: 3 }),
  ]
  for (const before of statuses) {
    const status = ownStatus('takedown', before)
    assert.deepEqual(status, { active: false, status: 'takendown' })
    const down = rowAfterOwn('takedown', before, status, 5)
    assert.deepEqual(down, { ...before, takendown: true, inactiveSeq: before.inactiveSeq ?? 5 })
    const up = rowAfterOwn('reversal', down, ownStatus('reversal', down), 8)
    assert.deepEqual(up, before)
    assert.equal(ownStatus('reversal', down).active, before.active)
  }
})

test('a correction is what the host says', () => {
  const before = accountRow({ active: false, status: 'deactivated', inactiveSeq: 3 })
  const after = rowAfterOwn('correction', before, { active: true }, 8)
  assert.deepEqual(after, { ...before, active: true, status: null, inactiveSeq: null })
})
