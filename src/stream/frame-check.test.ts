import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, decodeFirst, toBytes } from '@atcute/cbor'
import { ComAtprotoSyncSubscribeRepos as lexicon } from '@atcute/atproto'
import { safeParse } from '@atcute/lexicons'
import { checkBody, isRawBody, type RawBody } from './frame-check.ts'
import type { MessageType } from './frame-types.ts'
import { commitFrame, DID, LINK, TIME } from './support.test.ts'

const BODIES: Record<MessageType, RawBody> = {
  '#commit': decode(decodeFirst(commitFrame(5))[1]) as RawBody,
  '#sync': {
    seq: 5,
    did: DID,
    blocks: toBytes(new Uint8Array(9)),
    rev: '3jzfcijpj2z2a',
    time: TIME,
  },
  '#identity': { seq: 5, did: DID, time: TIME, handle: 'alice.example.com' },
  '#account': { seq: 5, did: DID, time: TIME, active: false, status: 'takendown' },
}
const TYPES = Object.keys(BODIES) as MessageType[]
const SCHEMAS = {
  '#commit': lexicon.commitSchema,
  '#sync': lexicon.syncSchema,
  '#identity': lexicon.identitySchema,
  '#account': lexicon.accountSchema,
}

function reasonOf(type: MessageType, change: RawBody): string {
  return checkBody(type, { ...BODIES[type], ...change })?.reason ?? 'ok'
}

/** Where we refuse what the lexicon takes. */
function stricter(type: MessageType, field: string, name: string): boolean {
  return (field === 'seq' && name === '0') || (type === '#sync' && field === 'rev')
}

function sized(length: number): RawBody {
  return { blocks: toBytes(new Uint8Array(length)) }
}

describe('checkBody agrees with the lexicon', () => {
  const op = { action: 'delete', path: 'a.b.c/d', cid: null, prev: LINK }
  // Every value stands in every field. Where we are stricter on purpose is listed above.
  const VALUES: [string, unknown][] = [
    ['absent', undefined],
    ['null', null],
    ['true', true],
    ['0', 0],
    ['7', 7],
    ['empty text', ''],
    ['text', 'text'],
    ['a DID', DID],
    ['a TID', '3jzfcijpj2z2a'],
    ['a time', TIME],
    ['a handle', 'bob.example.com'],
    ['handle.invalid', 'handle.invalid'],
    ['bytes', toBytes(new Uint8Array(5))],
    ['a link', LINK],
    ['a map', { a: 1 }],
    ['an empty list', []],
    ['links', [LINK, LINK]],
    ['operations', [op, { ...op, action: 'anything', extra: 1 }]],
    ['an operation without cid', [{ action: 'create', path: 'x' }]],
    ['a bad operation', [op, 5]],
    ['an operation with null prev', [{ ...op, prev: null }]],
    ['a foreign $type', 'com.atproto.sync.subscribeRepos#other'],
  ]
  for (const type of TYPES) {
    test(type, () => {
      const seen = { good: 0, bad: 0 }
      for (const field of [
        ...Object.keys(BODIES[type]),
        '$type',
        'prevData',
        'status',
        'unknown',
      ]) {
        for (const [name, value] of VALUES) {
          const body: Record<string, unknown> = { ...BODIES[type], [field]: value }
          if (value === undefined) delete body[field]
          const ours = checkBody(type, body)
          if (stricter(type, field, name)) continue
          const theirs = safeParse(SCHEMAS[type], body)
          assert.equal(ours === null, theirs.ok, `${field} = ${name}: ${ours?.detail ?? 'ok'}`)
          if (theirs.ok) seen.good++
          else seen.bad++
        }
      }
      assert.ok(seen.good > 20 && seen.bad > 20)
    })
  }
})

describe('checkBody tells faults apart', () => {
  test('identifiers and times', () => {
    for (const type of TYPES) {
      const did = type === '#commit' ? 'repo' : 'did'
      assert.equal(reasonOf(type, {}), 'ok')
      assert.equal(reasonOf(type, { [did]: 'did:plc' }), 'did-invalid')
      assert.equal(reasonOf(type, { [did]: `did:plc:${'a'.repeat(2_048)}` }), 'did-invalid')
      assert.equal(reasonOf(type, { [did]: 5 }), 'frame-schema')
      assert.equal(reasonOf(type, { time: 'yesterday' }), 'time-invalid')
      assert.equal(reasonOf(type, { time: '2026-08-20T12:34:56' }), 'time-invalid')
      assert.equal(reasonOf(type, { seq: 0 }), 'frame-schema')
    }
    for (const type of ['#commit', '#sync'] as const) {
      assert.equal(reasonOf(type, { rev: '3jzfcijpj2z2' }), 'rev-invalid')
      assert.equal(reasonOf(type, { rev: 'zzzzzzzzzzzzz' }), 'rev-invalid')
    }
    assert.equal(reasonOf('#commit', { since: 'x' }), 'rev-invalid')
    assert.equal(reasonOf('#commit', { since: null }), 'ok')
    assert.equal(reasonOf('#commit', { since: undefined }), 'frame-schema')
  })

  test('sizes, before the schema, at their edges', () => {
    assert.equal(reasonOf('#commit', sized(2_000_000)), 'ok')
    assert.equal(reasonOf('#commit', sized(2_000_001)), 'blocks-too-large')
    assert.equal(reasonOf('#sync', sized(10_000)), 'ok')
    assert.equal(reasonOf('#sync', sized(10_001)), 'blocks-too-large')
    const op = { action: 'create', path: 'a.b.c/d', cid: LINK }
    const ops = (count: number) => ({ ops: Array.from({ length: count }, () => op) })
    assert.equal(reasonOf('#commit', ops(200)), 'ok')
    assert.equal(reasonOf('#commit', ops(201)), 'ops-too-many')
    assert.equal(reasonOf('#commit', { ...ops(201), rev: 5, blobs: null }), 'ops-too-many')
    assert.equal(reasonOf('#account', { status: 'x'.repeat(128) }), 'ok')
    assert.equal(reasonOf('#account', { status: 'x'.repeat(129) }), 'status-invalid')
    assert.equal(reasonOf('#account', { status: 'é'.repeat(64) }), 'ok')
    assert.equal(reasonOf('#account', { status: `${'é'.repeat(64)}x` }), 'status-invalid')
  })

  test('legacy and hostile forms', () => {
    assert.equal(reasonOf('#commit', { blobs: null }), 'frame-schema')
    assert.equal(reasonOf('#identity', { handle: 'not a handle' }), 'frame-schema')
    assert.equal(reasonOf('#account', { status: 'anything new' }), 'ok')
  })

  test('JSON forms of links and bytes are maps, not links and bytes', () => {
    const link = { $link: LINK.$link }
    const op = { action: 'update', path: 'a.b.c/d', cid: LINK, prev: LINK }
    assert.ok(safeParse(lexicon.commitSchema, { ...BODIES['#commit'], commit: link }).ok)
    assert.equal(reasonOf('#commit', { commit: link }), 'frame-schema')
    assert.equal(reasonOf('#commit', { prevData: link }), 'frame-schema')
    assert.equal(reasonOf('#commit', { blobs: [LINK, link] }), 'frame-schema')
    assert.equal(reasonOf('#commit', { ops: [{ ...op, cid: link }] }), 'frame-schema')
    assert.equal(reasonOf('#commit', { ops: [{ ...op, prev: link }] }), 'frame-schema')
    assert.equal(reasonOf('#commit', { blocks: { $bytes: 'AAAA' } }), 'frame-schema')
    assert.equal(reasonOf('#sync', { blocks: { $bytes: 'AAAA' } }), 'frame-schema')
  })

  test('the detail names the field and stays short', () => {
    const fault = checkBody('#commit', { ...BODIES['#commit'], tooBig: 'x'.repeat(1_000_000) })
    assert.equal(fault?.detail, '#commit: tooBig is not what the lexicon says')
    const missing = checkBody('#sync', { seq: 1, did: DID, time: TIME, rev: '3jzfcijpj2z2a' })
    assert.equal(missing?.detail, '#sync: blocks is missing')
    const long = checkBody('#identity', { ...BODIES['#identity'], did: 'x'.repeat(1_000_000) })
    assert.ok(long !== null && long.detail.length < 100)
  })

  test('only maps are bodies', () => {
    for (const value of [null, 1, 'x', [], LINK, toBytes(new Uint8Array(1))]) {
      assert.equal(isRawBody(value), false)
    }
    assert.equal(isRawBody({}), true)
  })
})
