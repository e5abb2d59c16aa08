import assert from 'node:assert/strict'
import { test } from 'node:test'

import { valueOf } from '../../test/support/tree-parts.ts'
import { commitAgainstHead, type Head, type HeadVerdict, syncAgainstHead } from './head.ts'
import type { Verified } from './verify.ts'

const HEAD: Head = { rev: '3lhhxizu5wr2d', commit: valueOf(1), data: valueOf(2) }
const NEXT: Verified = {
  did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  rev: '3lhhxizu5wr2e',
  commit: valueOf(3),
  data: valueOf(4),
  since: HEAD.rev,
  prevData: valueOf(2),
  changes: [],
  warnings: [],
}
const AGAIN = { ...NEXT, rev: HEAD.rev, commit: HEAD.commit, since: null, prevData: null }

const textOf = (verdict: HeadVerdict): string =>
  'reason' in verdict ? `${verdict.outcome} ${verdict.reason}` : verdict.outcome

const commitOn = (head: Head | null, change: Partial<Verified>): string =>
  textOf(commitAgainstHead(head, { ...NEXT, ...change }))

test('a commit against the head', () => {
  assert.equal(commitOn(HEAD, {}), 'continues')
  assert.equal(commitOn(null, {}), 'continues')
  assert.equal(commitOn(null, { since: null, prevData: null }), 'continues')
  // Where the tree of the head is not known, `since` alone decides.
  assert.equal(commitOn({ ...HEAD, data: null }, { prevData: valueOf(9) }), 'continues')
  assert.equal(commitOn(HEAD, { rev: HEAD.rev }), 'stale rev-stale')
  assert.equal(commitOn(HEAD, { rev: '3lhhxizu5wr2c' }), 'stale rev-stale')
  assert.equal(commitOn(HEAD, { rev: '2222222222222' }), 'stale rev-stale')
  assert.equal(commitOn(HEAD, { since: '3lhhxizu5wr2c' }), 'discontinuous since-mismatch')
  assert.equal(commitOn(HEAD, { since: null }), 'discontinuous since-mismatch')
  const anew = { since: null, prevData: null }
  assert.equal(commitOn(HEAD, anew), 'discontinuous since-mismatch')
  assert.equal(commitOn(HEAD, { prevData: valueOf(9) }), 'discontinuous prev-data-mismatch')
  assert.equal(commitOn(HEAD, { prevData: null }), 'discontinuous prev-data-mismatch')
  assert.equal(
    commitOn({ ...HEAD, data: null }, { prevData: null }),
    'discontinuous prev-data-mismatch',
  )
  // A rev that does not rise is stale, whatever else is wrong.
  assert.equal(commitOn(HEAD, { ...anew, rev: HEAD.rev }), 'stale rev-stale')
})

const syncOn = (head: Head | null, change: Partial<Verified>): string =>
  textOf(syncAgainstHead(head, { ...AGAIN, ...change }))

test('a sync against the head', () => {
  assert.equal(syncOn(HEAD, {}), 'same')
  assert.equal(syncOn(null, {}), 'continues')
  assert.equal(syncOn(HEAD, { rev: NEXT.rev, commit: NEXT.commit }), 'continues')
  // The rev of the head with another commit, and the commit of the head with an older rev.
  assert.equal(syncOn(HEAD, { commit: valueOf(9) }), 'stale rev-stale')
  assert.equal(syncOn(HEAD, { rev: '3lhhxizu5wr2c' }), 'stale rev-stale')
})
