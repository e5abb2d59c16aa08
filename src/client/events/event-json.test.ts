import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { BytesWrapper, decode, decodeFirst } from '@atcute/cbor'

import { toDataJson } from '../../../test/vectors/vector-files.ts'
import { DRISL_DEPTH_MAX } from '../../lib/limits.ts'
import { HAS_VECTORS, vectorFrames } from '../../stream/support.test.ts'
import { decodeEvent } from './decode-event.ts'
import { fromJSON, toJSON } from './event-json.ts'
import { blockOf, commitFrame, createOp, DID, frameOf, TIME } from '../testing/event-frames.ts'

const NSID = 'com.atproto.sync.subscribeRepos'

/** To JSON text and back. */
function roundTrip(frame: Uint8Array): { readonly json: unknown; readonly bytes: Uint8Array } {
  const decoded = decodeEvent(frame)
  assert.ok(decoded.ok)
  const json: unknown = JSON.parse(JSON.stringify(toJSON(decoded.value)))
  const read = fromJSON(json)
  assert.ok(read.ok, read.ok ? '' : read.detail)
  assert.equal(read.value.type, decoded.value.type)
  return { json, bytes: read.value.bytes }
}

const VECTORS = { skip: HAS_VECTORS ? false : 'the vectors are absent (../shared/vectors)' }

describe('frames of the network', VECTORS, () => {
  for (const file of ['relay-frames/frames.bin.gz', 'pds-capture/frames-live.bin']) {
    test(`${file}: JSON as another converter has it, and the same bytes again`, () => {
      for (const frame of vectorFrames(file)) {
        const { json, bytes } = roundTrip(frame)
        const [header, rest] = decodeFirst(frame) as [{ readonly t: string }, Uint8Array]
        const body = toDataJson(decode(rest)) as object
        assert.deepEqual(json, { $type: NSID + header.t, ...body })
        assert.deepEqual(bytes, frame)
      }
    })
  }
})

describe('what no captured stream holds', () => {
  const common = { seq: 3, did: DID, time: TIME }
  const frames = {
    '#handle': frameOf({ op: 1, t: '#handle' }, { ...common, handle: 'alice.example.com' }),
    '#migrate': frameOf({ op: 1, t: '#migrate' }, { ...common, migrateTo: null }),
    '#tombstone': frameOf({ op: 1, t: '#tombstone' }, common),
    '#info': frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor', extra: [1] }),
    '#later': frameOf(
      { op: 1, t: '#later' },
      { seq: 5, deep: [{ a: new BytesWrapper(Uint8Array.of(9)) }] },
    ),
    'com.example.other#it': frameOf(
      { op: 1, t: 'com.example.other#it' },
      { __proto__: 1, constructor: 2 },
    ),
  }
  for (const [type, frame] of Object.entries(frames)) {
    test(type, () => {
      const { json, bytes } = roundTrip(frame)
      assert.equal(Object(json).$type, type.startsWith('#') ? NSID + type : type)
      assert.deepEqual(bytes, frame)
    })
  }

  test('a key of the prototype', () => {
    const frame = frameOf({ op: 1, t: '#later' }, JSON.parse('{"__proto__":{"a":1}}') as object)
    assert.deepEqual(roundTrip(frame).bytes, frame)
  })

  test('error frames are as errors of XRPC, without $type', () => {
    const frame = frameOf({ op: -1 }, { error: 'FutureCursor', message: 'Too far.' })
    const { json, bytes } = roundTrip(frame)
    assert.deepEqual(json, { error: 'FutureCursor', message: 'Too far.' })
    assert.deepEqual(bytes, frame)
  })

  test('typed commits have the same JSON', () => {
    const note = blockOf({ text: 'one' })
    const decoded = decodeEvent(commitFrame([note], [createOp('org.example.note/self', note)]))
    assert.ok(decoded.ok && decoded.value.type === '#commit')
    assert.deepEqual(toJSON(decoded.value.mapOps(() => 'other')), toJSON(decoded.value))
  })
})

test('hostile JSON is refused with a reason', () => {
  const commit = toJSON(
    (() => {
      const decoded = decodeEvent(commitFrame([blockOf({})], []))
      assert.ok(decoded.ok)
      return decoded.value
    })(),
  )
  assert.ok(fromJSON(commit).ok)
  let deep: unknown = 1
  for (let i = 0; i < 100_000; i++) deep = [deep]
  let atLimit: unknown = 1
  for (let i = 0; i < DRISL_DEPTH_MAX; i++) atLimit = [atLimit]
  const later = { $type: `${NSID}#later` }
  const cases: readonly (readonly [string, unknown])[] = [
    ['frame-malformed', null],
    ['frame-malformed', 'text'],
    ['frame-malformed', [commit]],
    ['frame-malformed', {}],
    ['frame-malformed', { ...commit, $type: 5 }],
    ['frame-malformed', { ...commit, $type: '\ud800' }],
    ['frame-malformed', { ...commit, $type: 'x'.repeat(2_000_000) }],
    ['frame-malformed', { ...commit, more: 1.5 }],
    ['frame-malformed', { ...commit, more: '\udfff' }],
    ['frame-malformed', { ...commit, commit: { $link: 'bafy' } }],
    ['frame-malformed', { ...commit, blocks: { $bytes: '!' } }],
    ['frame-malformed', { ...later, deep }],
    ['frame-malformed', { ...later, atLimit }],
    ['frame-malformed', { ...later, list: Array.from({ length: 30_000 }, () => 0) }],
    ['frame-malformed', { ...later, fn: () => 1 }],
    ['frame-too-large', { ...later, text: 'x'.repeat(5_000_001) }],
    ['frame-schema', { $type: `${NSID}#commit`, seq: 1 }],
    ['frame-schema', { ...commit, blocks: 'text' }],
    ['frame-schema', { ...commit, seq: 0 }],
    ['did-invalid', { ...commit, repo: 'alice' }],
    ['frame-schema', { error: 5 }],
    ['frame-schema', { $type: `${NSID}#handle`, seq: 1, did: DID, time: TIME }],
  ]
  for (const [i, [reason, value]] of cases.entries()) {
    const read = fromJSON(value)
    assert.equal(read.ok ? 'ok' : read.reason, reason, `case ${i}`)
  }
})
