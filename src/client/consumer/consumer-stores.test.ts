/** What both stores of a consumer promise. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { MemoryStore } from './memory-store.ts'
import { sha256 } from '../../crypto/sha256.ts'
import { CODEC_DAG_CBOR, cidOf } from '../../data/cid.ts'
import { utf8 } from '../../lib/bytes.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import type {
  ConsumerStore,
  QuarantineRow,
  RepoRow,
  StoreChanges,
} from '../../store/consumer-state.ts'
import { openConsumerStore } from '../../store/consumer-store.ts'

const cid = (text: string): Uint8Array => cidOf(CODEC_DAG_CBOR, sha256(utf8(text)))

function changes(some: Partial<StoreChanges>): StoreChanges {
  return {
    forgotten: [],
    records: [],
    repos: [],
    quarantined: [],
    released: [],
    forgottenCursors: [],
    cursors: [],
    ...some,
  }
}

function repo(did: string, more: Partial<RepoRow> = {}): RepoRow {
  const head = { rev: '3kabcdefghij2', commit: cid(`${did} commit`), data: cid(`${did} data`) }
  return { did, head, complete: true, inactive: null, mark: null, quarantined: 0, ...more }
}

function message(id: number, did: string): QuarantineRow {
  const service = 'https://relay.example'
  const rest = { verdict: 'verified', error: null, tries: 0, sinceMs: 5 } as const
  return { id, did, service, seq: id, frame: utf8(`frame ${id}`), ...rest }
}

const mark = { reason: 'sync', detail: 'why', sinceMs: 1, tries: 2 } as const

for (const [name, open] of [
  ['in memory', () => Promise.resolve(new MemoryStore())],
  ['in SQLite', () => openConsumerStore(':memory:')],
] as const satisfies readonly (readonly [string, () => Promise<ConsumerStore>])[]) {
  describe(`a store ${name}`, () => {
    it('keeps rows as they were put', async () => {
      const store: ConsumerStore = await open()
      const rows = [
        repo('did:plc:a'),
        repo('did:plc:b', { head: null, complete: false, inactive: 'suspended' }),
        repo('did:plc:c', { mark: { ...mark, nextTryMs: null }, quarantined: 3 }),
      ]
      await store.apply(changes({ repos: rows }))
      for (const row of rows) assert.deepEqual(await store.repo(row.did), row)
      assert.equal(await store.repo('did:plc:d'), null)
    })

    it('gives marks when they are due, the longest due first', async () => {
      const store: ConsumerStore = await open()
      const due = [30, 10, 20, null].map((nextTryMs, i) =>
        repo(`did:plc:${i}`, { mark: { ...mark, nextTryMs } }),
      )
      await store.apply(changes({ repos: due }))
      const dids = async (nowMs: number, limit: number) =>
        (await store.due(nowMs, limit)).map(({ did }) => did)
      assert.deepEqual(await dids(5, 9), [])
      assert.deepEqual(await dids(25, 9), ['did:plc:1', 'did:plc:2'])
      assert.deepEqual(await dids(99, 2), ['did:plc:1', 'did:plc:2'])
      await store.apply(changes({ repos: [repo('did:plc:1')] }))
      assert.deepEqual(await dids(99, 9), ['did:plc:2', 'did:plc:0'])
    })

    it('gives records in the order of their paths, page by page', async () => {
      const store: ConsumerStore = await open()
      const paths = ['b.c.d/z', 'a.b.c/1', 'a.b.c/2', 'a.b.c/10', 'a.b.c/A', 'a.b.c/_']
      const records = new Map(paths.map((path) => [path, cid(path)]))
      await store.apply(changes({ records: [['did:plc:a', records]], repos: [repo('did:plc:a')] }))
      const found: string[] = []
      for (let after = ''; ; after = found.at(-1) ?? '') {
        const page = await store.records('did:plc:a', after, 2)
        for (const { path, cid: bytes } of page) assert.deepEqual(bytes, cid(path))
        found.push(...page.map(({ path }) => path))
        if (page.length < 2) break
      }
      assert.deepEqual(found, paths.toSorted())
      const some = new Map<string, Uint8Array | null>([
        ['a.b.c/1', null],
        ['a.b.c/2', cid('other')],
      ])
      await store.apply(changes({ records: [['did:plc:a', some]] }))
      const left = await store.records('did:plc:a', '', 9)
      assert.equal(left.length, 5)
      assert.deepEqual(left.find(({ path }) => path === 'a.b.c/2')?.cid, cid('other'))
      assert.deepEqual(await store.records('did:plc:b', '', 9), [])
    })

    it('forgets before it takes anything in', async () => {
      const store: ConsumerStore = await open()
      const records = new Map([['a.b.c/1', cid('1')]])
      const did = 'did:plc:a'
      await store.apply(
        changes({ records: [[did, records]], repos: [repo(did)], quarantined: [message(1, did)] }),
      )
      const again = new Map([['a.b.c/2', cid('2')]])
      await store.apply(changes({ forgotten: [did], records: [[did, again]], repos: [repo(did)] }))
      const paths = (await store.records(did, '', 9)).map(({ path }) => path)
      assert.deepEqual(paths, ['a.b.c/2'])
      assert.deepEqual(await store.quarantine(did, 0, 9), [])
    })

    it('keeps messages in order, by account or over all', async () => {
      const store: ConsumerStore = await open()
      const rows = [message(1, 'did:plc:a'), message(2, 'did:plc:b'), message(3, 'did:plc:a')]
      await store.apply(changes({ quarantined: rows }))
      assert.deepEqual(await store.quarantine(null, 0, 9), rows)
      assert.deepEqual(await store.quarantine('did:plc:a', 1, 9), [rows[2]])
      assert.equal((await store.quarantine(null, 0, 2)).length, 2)
      const failed = { ...message(3, 'did:plc:a'), error: 'no', tries: 4 }
      await store.apply(changes({ quarantined: [failed], released: [1] }))
      assert.deepEqual(await store.quarantine('did:plc:a', 0, 9), [failed])
    })

    it('keeps a cursor a service, the newest first', async () => {
      const store: ConsumerStore = await open()
      const [a, b] = [
        { service: 'https://a.example', seq: 5, timeMs: 7 },
        { service: 'https://b.example', seq: 9, timeMs: null },
      ]
      await store.apply(changes({ cursors: [a, b] }))
      assert.deepEqual(await store.cursors(), [b, a])
      await store.apply(changes({ cursors: [{ ...a, seq: 6 }] }))
      assert.deepEqual(await store.cursors(), [{ ...a, seq: 6 }, b])
      await store.apply(changes({ forgottenCursors: [a.service] }))
      assert.deepEqual(await store.cursors(), [b])
    })
  })
}

describe('a store in SQLite', () => {
  it('is there again when it is opened again', async () => {
    await using directory = await TemporaryDirectory.create('skein-consumer-')
    const file = join(directory.path, 'consumer.sqlite')
    const first = await openConsumerStore(file)
    first.apply(changes({ repos: [repo('did:plc:a')] }))
    first.close()
    using second = await openConsumerStore(file)
    assert.deepEqual(second.repo('did:plc:a'), repo('did:plc:a'))
  })

  it('applies all or nothing', async () => {
    using store = await openConsumerStore(':memory:')
    const broken = { ...message(1, 'did:plc:a'), verdict: null } as unknown as QuarantineRow
    const batch = changes({ repos: [repo('did:plc:a')], quarantined: [broken] })
    assert.throws(() => store.apply(batch), { code: 'STORE_FAILED' })
    assert.equal(store.repo('did:plc:a'), null)
  })
})

describe('a store in memory', () => {
  it('forgets the repositories that were quiet the longest, but none that waits', async () => {
    const store = new MemoryStore({ reposMax: 2 })
    const waiting = repo('did:plc:a', { mark: { ...mark, nextTryMs: 9 } })
    store.apply(changes({ repos: [waiting, repo('did:plc:b'), repo('did:plc:c')] }))
    assert.deepEqual(store.repo('did:plc:a'), waiting)
    assert.equal(store.repo('did:plc:b'), null)
    assert.notEqual(store.repo('did:plc:c'), null)
  })
})
