/** The table of a repository's states: what each thing that is learned makes of each of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RepoRow } from '../../store/consumer-state.ts'
import {
  afterAccount,
  afterCommit,
  afterFailure,
  afterRepair,
  afterTerminal,
  fallenBehind,
  marked,
  parked,
  pauseAfter,
  phaseOf,
  replayed,
  type RepoPhase,
  roused,
  toldOfNews,
  unknownRepo,
} from './repo-states.ts'

const NOW = 1_000
const head = { rev: '3kabcdefghij2', commit: new Uint8Array(36), data: new Uint8Array(36) }
const unknown = unknownRepo('did:plc:a')
const synchronized = afterCommit(unknown, head, 'part')
const broken = marked(synchronized, 'since-mismatch', 'gap', NOW)

const ROWS: Readonly<Record<RepoPhase, RepoRow>> = {
  unknown,
  synchronized,
  desynchronized: broken,
  parked: afterTerminal(broken, 'deactivated'),
  quarantined: { ...synchronized, quarantined: 1 },
  inactive: { ...synchronized, inactive: 'suspended' },
}

const STEPS: Readonly<Record<string, (row: RepoRow) => RepoRow>> = {
  commit: (row) => afterCommit(row, head, 'part'),
  break: (row) => marked(row, 'sync', 'news', NOW),
  failed: (row) => afterFailure(row, NOW + 5),
  terminal: (row) => afterTerminal(row, 'takendown'),
  fetched: (row) => afterRepair(row, head),
  active: (row) => afterAccount(row, { active: true, status: null }, NOW),
  suspended: (row) => afterAccount(row, { active: false, status: 'suspended' }, NOW),
  deleted: (row) => afterAccount(row, { active: false, status: 'deleted' }, NOW),
}

// prettier-ignore
const TABLE: Readonly<Record<RepoPhase, Readonly<Record<string, RepoPhase>>>> = {
  unknown: {
    commit: 'synchronized', break: 'desynchronized', failed: 'unknown', terminal: 'inactive',
    fetched: 'synchronized', active: 'unknown', suspended: 'inactive', deleted: 'inactive',
  },
  synchronized: {
    commit: 'synchronized', break: 'desynchronized', failed: 'synchronized', terminal: 'inactive',
    fetched: 'synchronized', active: 'synchronized', suspended: 'inactive', deleted: 'inactive',
  },
  desynchronized: {
    commit: 'desynchronized', break: 'desynchronized', failed: 'desynchronized', terminal: 'parked',
    fetched: 'synchronized', active: 'desynchronized', suspended: 'desynchronized',
    deleted: 'inactive',
  },
  parked: {
    commit: 'parked', break: 'parked', failed: 'desynchronized', terminal: 'parked',
    fetched: 'synchronized', active: 'desynchronized', suspended: 'parked', deleted: 'inactive',
  },
  quarantined: {
    commit: 'quarantined', break: 'quarantined', failed: 'quarantined', terminal: 'quarantined',
    fetched: 'quarantined', active: 'quarantined', suspended: 'quarantined', deleted: 'inactive',
  },
  inactive: {
    commit: 'inactive', break: 'desynchronized', failed: 'inactive', terminal: 'inactive',
    fetched: 'synchronized', active: 'synchronized', suspended: 'inactive', deleted: 'inactive',
  },
}

describe('a repository', () => {
  for (const [phase, row] of Object.entries(ROWS)) {
    it(`that is ${phase} becomes what the table says`, () => {
      assert.equal(phaseOf(row), phase)
      const found = Object.fromEntries(
        Object.entries(STEPS).map(([name, step]) => [name, phaseOf(step(row))]),
      )
      assert.deepEqual(found, TABLE[phase as RepoPhase])
    })
  }

  it('keeps its first mark, and counts failures on it', () => {
    const failed = afterFailure(marked(broken, 'sync', 'later', 2_000), 3_000)
    assert.deepEqual(failed.mark, {
      reason: 'since-mismatch',
      detail: 'gap',
      sinceMs: NOW,
      tries: 1,
      nextTryMs: 3_000,
    })
  })

  it('is roused from a wait by news, but not from one for the application', () => {
    const waiting = afterFailure(broken, 9_000)
    assert.equal(roused(waiting, NOW).mark?.nextTryMs, NOW)
    const own = parked(synchronized, 'quarantine-overflow', 'full', NOW)
    assert.equal(roused(own, NOW), own)
    assert.equal(replayed(own, NOW).mark?.nextTryMs, NOW)
  })

  it('whose host has fallen behind is told of by news alone, and begins anew then', () => {
    const behind = fallenBehind(afterFailure(broken, 9_000), 50_000)
    assert.deepEqual(behind.mark, {
      ...broken.mark,
      reason: 'host-behind',
      tries: 2,
      nextTryMs: 50_000,
    })
    assert.equal(phaseOf(behind), 'desynchronized')
    assert.deepEqual(toldOfNews(behind, NOW).mark, { ...broken.mark, tries: 0, nextTryMs: NOW })
    assert.equal(fallenBehind(synchronized, 50_000), synchronized)
    assert.equal(toldOfNews(synchronized, NOW), synchronized)
  })

  it('that waits for a host that is down is left to wait by news', () => {
    const waiting = afterFailure(broken, 9_000)
    assert.equal(toldOfNews(waiting, NOW), waiting)
    assert.equal(toldOfNews(afterTerminal(broken, 'deactivated'), NOW).mark?.nextTryMs, NOW)
  })

  it('that is deleted keeps its head, so that old events are told', () => {
    const gone = afterAccount(synchronized, { active: false, status: 'deleted' }, NOW)
    assert.deepEqual(gone, { ...synchronized, inactive: 'deleted', complete: false })
  })
})

describe('pauses', () => {
  it('double with each failure, up to a bound, and are never less than half', () => {
    const bounds = { firstMs: 100, mostMs: 1_000 }
    const full = [0, 1, 2, 3, 4, 1_000].map((tries) => pauseAfter(tries, bounds, 1))
    assert.deepEqual(full, [100, 200, 400, 800, 1_000, 1_000])
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((tries) => pauseAfter(tries, bounds, 0)),
      [50, 100, 200, 400, 500],
    )
  })
})
