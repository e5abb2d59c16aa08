/** What a listing shows that no event did. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MemoryStore } from '../src/client/consumer/memory-store.ts'
import { markMissed } from '../src/client/consumer/missed.ts'
import { SyncClient } from '../src/client/calls/sync-client.ts'
import { startHostServer } from '../src/http/testing/host-server.ts'
import type { RepoRow } from '../src/store/consumer-state.ts'

const NOTHING = {
  forgotten: [],
  records: [],
  quarantined: [],
  released: [],
  forgottenCursors: [],
  cursors: [],
}

/** What a store has of a repository: its head is at `rev`. */
function rowOf(did: string, rev: string, other: Partial<RepoRow> = {}): RepoRow {
  const head = { rev, commit: new Uint8Array(36), data: null }
  return { did, head, complete: true, inactive: null, mark: null, quarantined: 0, ...other }
}

test('repositories that are further than what was delivered are marked, and no others', async (t) => {
  const server = await startHostServer(t)
  const names = [
    'behind',
    'current',
    'ahead',
    'unknown',
    'waiting',
    'held',
    'away',
    'back',
    'other',
  ]
  const accounts = new Map(names.map((name) => [name, server.host.add(`missed: ${name}`)]))
  const didOf = (name: string): string => accounts.get(name)?.did ?? ''
  const revOf = (name: string): string => accounts.get(name)?.repo.head?.rev ?? ''
  for (const name of ['current', 'ahead']) accounts.get(name)?.create('org.example.note/a')
  const store = new MemoryStore()
  const early = '2222222222222'
  const mark = { reason: 'sync', detail: '', sinceMs: 1, tries: 3, nextTryMs: null } as const
  store.apply({
    ...NOTHING,
    repos: [
      rowOf(didOf('behind'), early),
      rowOf(didOf('current'), revOf('current')),
      rowOf(didOf('ahead'), 'zzzzzzzzzzzzz'),
      rowOf(didOf('waiting'), early, { mark }),
      rowOf(didOf('held'), early, { quarantined: 2 }),
      rowOf(didOf('away'), early),
      rowOf(didOf('back'), early, { inactive: 'deactivated', mark }),
      rowOf(didOf('other'), early),
    ],
  })
  const away = accounts.get('away')
  if (away !== undefined) away.status = 'suspended'
  const listed: string[] = []
  const counts = await markMissed({
    client: new SyncClient(server.address),
    store,
    wants: (did) => did !== didOf('other'),
    onListed: ({ did, active }) => void listed.push(`${did} ${String(active)}`),
  })
  // `back` was marked already, and is to be tried now.
  assert.deepEqual(counts, { listed: names.length - 1, marked: 3 })
  assert.equal(listed.length, names.length - 1)
  assert(listed.includes(`${didOf('away')} false`))
  const marks = names.map((name) => {
    const row = store.repo(didOf(name))
    const when = row?.mark?.nextTryMs === null ? 'waits' : 'is due'
    return `${name}: ${row?.mark ? `${row.mark.reason}, ${when}` : (row?.inactive ?? 'nothing')}`
  })
  assert.deepEqual(marks, [
    'behind: since-mismatch, is due',
    'current: nothing',
    'ahead: nothing',
    'unknown: nothing',
    'waiting: sync, waits',
    'held: since-mismatch, waits',
    'away: suspended',
    'back: sync, is due',
    'other: nothing',
  ])
})

test('repositories that nobody has seen are marked when they are wanted', async (t) => {
  const server = await startHostServer(t)
  const { did } = server.host.add('missed: new')
  const store = new MemoryStore()
  const client = new SyncClient(server.address)
  assert.deepEqual(await markMissed({ client, store }), { listed: 1, marked: 0 })
  assert.equal(store.repo(did), null)
  const counts = await markMissed({ client, store, unknown: 'fetch' })
  assert.deepEqual(counts, { listed: 1, marked: 1 })
  assert.equal(store.repo(did)?.mark?.reason, 'backfill')
  assert.deepEqual(await markMissed({ client, store, unknown: 'fetch' }), { listed: 1, marked: 0 })
})
