import assert from 'node:assert/strict'
import { it } from 'node:test'
import { REV_AHEAD_MS_MAX } from '../../lib/limits.ts'
import { tidOf } from '../../syntax/tid.ts'
import type { RepoFrame } from './event-judge.ts'
import { SeenRevs } from './seen-revs.ts'

const NOW = Date.UTC(2026, 0, 1)
const rev = (n: number): string => tidOf((NOW + n) * 1_000, 0)
const commit = (now: string, since: string | null): RepoFrame =>
  ({ type: '#commit', body: { rev: now, since } }) as RepoFrame
const sync = (now: string): RepoFrame => ({ type: '#sync', body: { rev: now } }) as RepoFrame

it('tells what follows, what was seen, and what is missing', () => {
  const seen = new SeenRevs(10)
  assert.deepEqual(seen.look('a', commit(rev(2), rev(1))), { kind: 'new' })
  seen.note('a', rev(2), NOW)
  assert.deepEqual(seen.look('a', commit(rev(1), null)), { kind: 'seen' })
  assert.deepEqual(seen.look('a', commit(rev(2), rev(1))), { kind: 'seen' })
  assert.deepEqual(seen.look('a', commit(rev(3), rev(2))), { kind: 'new' })
  assert.deepEqual(seen.look('b', commit(rev(1), null)), { kind: 'new' }, 'another repository')
  const known = rev(2)
  for (const since of [rev(3), rev(1), null]) {
    assert.deepEqual(seen.look('a', commit(rev(4), since)), { kind: 'gap', known, since })
  }
})

it('takes a #sync at its word', () => {
  const seen = new SeenRevs(10)
  seen.note('a', rev(2), NOW)
  const kinds = [1, 2, 9].map((n) => seen.look('a', sync(rev(n))).kind)
  assert.deepEqual(kinds, ['seen', 'new', 'new'])
})

it('does not believe a rev of the far future, which would hide all others', () => {
  const seen = new SeenRevs(10)
  seen.note('a', rev(REV_AHEAD_MS_MAX + 1), NOW)
  assert.deepEqual(seen.look('a', commit(rev(3), null)), { kind: 'new' })
  seen.note('a', rev(REV_AHEAD_MS_MAX), NOW)
  assert.deepEqual(seen.look('a', commit(rev(3), null)), { kind: 'seen' })
})

it('forgets those that have been quiet the longest', () => {
  const seen = new SeenRevs(2)
  for (const did of ['a', 'b']) seen.note(did, rev(1), NOW)
  seen.look('a', commit(rev(1), null))
  seen.note('c', rev(1), NOW)
  const kinds = ['a', 'b', 'c'].map((did) => seen.look(did, commit(rev(1), null)).kind)
  assert.deepEqual(kinds, ['seen', 'new', 'seen'])
})
