/** Listings of blobs, held against a plain model on both sides of what is looked through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { compareBytes, utf8 } from '../lib/bytes.ts'
import { seededRandom } from '../lib/random.ts'
import { BlobRows } from './blob-rows.ts'
import { openDatabase } from './database.ts'
import { HOST_SCHEMA } from './schemas.ts'

const REFERENCES = 6_000
const revOf = (n: number): string => `3k${String(n).padStart(11, '0')}`

test('pages since a rev are the same however many references are newer', async (t) => {
  const database = await openDatabase(':memory:', HOST_SCHEMA)
  t.after(() => database.close())
  const rows = new BlobRows(database.connection)
  const random = seededRandom(2)
  const cids = Array.from({ length: 4_000 }, (_, n) => cidOf(CODEC_RAW, utf8(`blob ${n}`)))
  const newest = new Map<string, string>()
  database.connection.exec('begin')
  // One in ten is referred to and not there, one in ten there and not referred to.
  const stored = cids.filter((_, n) => n % 10 !== 0)
  for (const cid of stored) {
    const blob = { cid, mimeType: 'a/b', size: 1, uploadedAtMs: 1, unreferencedAtMs: null }
    for (const account of [1, 2]) rows.put(account, blob)
  }
  const held = new Set(stored.map(cidToString))
  for (let n = 1; n <= REFERENCES; n++) {
    const at = Math.floor(random.next() * cids.length)
    if (at % 10 === 1) continue
    const cid = must(cids[at], 'cid')
    rows.note(7, { cid, path: `org.example.note/${n}`, rev: revOf(n) })
    rows.note(8, { cid, path: `org.example.note/${n}`, rev: revOf(REFERENCES * 2) })
    if (held.has(cidToString(cid))) newest.set(cidToString(cid), revOf(n))
  }
  database.connection.exec('commit')
  const inOrder = cids.toSorted(compareBytes).map(cidToString)
  for (const since of [0, 1, 300, 499, 500, 700, 2_000, REFERENCES - 3, REFERENCES]) {
    const sinceRev = since === 0 ? '' : revOf(since)
    const expected = inOrder.filter((cid) => (newest.get(cid) ?? '') > sinceRev)
    const found: string[] = []
    for (let after: Uint8Array = new Uint8Array(0); ;) {
      const page = rows.page(1, 7, { after, sinceRev, limit: 331 })
      found.push(...page.map(cidToString))
      const last = page.at(-1)
      if (last === undefined) break
      after = last
    }
    assert.deepEqual(found, expected, `since ${since}`)
  }
})

test('what no record refers to is summed up for each account', async (t) => {
  const database = await openDatabase(':memory:', HOST_SCHEMA)
  t.after(() => database.close())
  const rows = new BlobRows(database.connection)
  for (let n = 0; n < 40; n++) {
    const cid = cidOf(CODEC_RAW, utf8(`blob ${n}`))
    const unreferencedAtMs = n % 4 === 0 ? null : n % 5 === 0 ? 0 : 1_000 + n
    rows.put(n % 2, { cid, mimeType: 'a/b', size: n, uploadedAtMs: 1, unreferencedAtMs })
  }
  for (const account of [0, 1]) {
    const mine = Array.from({ length: 40 }, (_, n) => n).filter(
      (n) => n % 2 === account && n % 4 > 0,
    )
    assert.deepEqual(rows.unreferenced(account), {
      count: mine.length,
      bytes: mine.reduce((a, b) => a + b, 0),
    })
  }
  assert.deepEqual(rows.unreferenced(5), { count: 0, bytes: 0 })
})
