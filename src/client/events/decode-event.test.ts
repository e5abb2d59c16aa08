import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { BytesWrapper, decode, decodeFirst } from '@atcute/cbor'
import { CidLinkWrapper, toString as cidText, decode as readCid } from '@atcute/cid'

import { readCarBlocks } from '../../../test/support/read-car.ts'
import { cidToString } from '../../data/cid.ts'
import { encodeCar } from '../../data/car-stream.ts'
import { toHex } from '../../lib/bytes.ts'
import { RECORD_BYTES_MAX } from '../../lib/limits.ts'
import { seededRandom } from '../../lib/random.ts'
import type { CommitBody } from '../../stream/frame-types.ts'
import { HAS_VECTORS, vectorFrames } from '../../stream/support.test.ts'
import { decodeEvent } from './decode-event.ts'
import type { CommitEvent, StreamEvent } from './events.ts'
import { blockOf, commitFrame, createOp, DID, frameOf, REV, TIME } from '../testing/event-frames.ts'

function eventOf(bytes: Uint8Array): StreamEvent {
  const decoded = decodeEvent(bytes)
  assert.ok(decoded.ok, decoded.ok ? '' : `${decoded.reason}: ${decoded.detail}`)
  return decoded.value
}

function commitOf(bytes: Uint8Array): CommitEvent {
  const event = eventOf(bytes)
  assert.ok(event.type === '#commit')
  return event
}

function reasonOf(bytes: Uint8Array): string {
  const decoded = decodeEvent(bytes)
  return decoded.ok ? 'ok' : decoded.reason
}

/** Everything of an event that is made when it is asked for. */
function touch(event: StreamEvent): void {
  if (event.type !== '#commit') return
  void [event.did, event.rev, event.since, event.time, event.seq, event.commit, event.prevData]
  event.checkBlocks()
  for (const op of event.ops) {
    void [op.action, op.path, op.collection, op.rkey, op.cid, op.prev, op.recordBytes, op.record]
  }
}

/** A body as another implementation decodes it. */
function bodyOf(bytes: Uint8Array): unknown {
  return decode(decodeFirst(bytes)[1])
}

const VECTORS = { skip: HAS_VECTORS ? false : 'the vectors are absent (../shared/vectors)' }

describe('frames of the network', VECTORS, () => {
  test('commits say what another decoder finds in them, records included', () => {
    let records = 0
    for (const bytes of vectorFrames('relay-frames/frames.bin.gz')) {
      const event = commitOf(bytes)
      const body = bodyOf(bytes) as CommitBody
      const blocks = new Map(
        readCarBlocks(body.blocks.buf).blocks.map(({ cid, block }) => [toHex(cid), block]),
      )
      assert.deepEqual(
        [event.seq, event.did, event.rev, event.since, event.time],
        [body.seq, body.repo, body.rev, body.since, body.time],
      )
      assert.equal(event.commit, cidText(readCid(body.commit.bytes)))
      assert.equal(event.prevData, body.prevData === undefined ? null : body.prevData.$link)
      assert.equal(event.ops.length, body.ops.length)
      for (const [i, op] of event.ops.entries()) {
        const { action, path, cid, prev } = body.ops[i] ?? assert.fail()
        assert.deepEqual(
          [op.action, `${op.collection}/${op.rkey}`, op.path, op.cid, op.prev],
          [action, path, path, cid?.$link ?? null, prev?.$link ?? null],
        )
        const block = cid === null ? null : blocks.get(toHex(cid.bytes))
        assert.deepEqual(op.recordBytes, block)
        assert.deepEqual(
          op.record,
          block === null || block === undefined ? null : { valid: true, value: decode(block) },
        )
        records += op.record === null ? 0 : 1
      }
      const checked = event.checkBlocks()
      assert.ok(checked.ok && checked.value.size > 0)
    }
    assert.ok(records > 50)
  })

  test('every type that a host sends', () => {
    const seen = new Map<string, number>()
    for (const bytes of vectorFrames('pds-capture/frames-live.bin')) {
      const event = eventOf(bytes)
      seen.set(event.type, (seen.get(event.type) ?? 0) + 1)
      if (event.type === 'error' || event.type === '#commit') continue
      assert.deepEqual('body' in event && event.body, bodyOf(bytes))
    }
    for (const type of ['#commit', '#sync', '#identity', '#account'])
      assert.ok(seen.has(type), type)
  })

  test('nothing throws, whatever is cut off or turned', () => {
    const random = seededRandom(7)
    const frames = vectorFrames('pds-capture/frames-live.bin').slice(0, 12)
    const outcomes = new Set<string>()
    for (const frame of frames) {
      for (let length = 0; length < frame.length; length += 1 + Math.floor(length / 64)) {
        assert.notEqual(reasonOf(frame.subarray(0, length)), 'ok')
      }
      for (let i = 0; i < 400; i++) {
        const damaged = frame.slice()
        const at = Math.floor(random.next() * damaged.length)
        damaged[at] = (damaged[at] ?? 0) ^ (1 << Math.floor(random.next() * 8))
        const decoded = decodeEvent(damaged)
        outcomes.add(decoded.ok ? 'ok' : decoded.reason)
        if (decoded.ok) touch(decoded.value)
      }
    }
    assert.ok(outcomes.has('ok') && outcomes.has('frame-malformed'))
  })
})

describe('retired messages, by the lexicons that they had', () => {
  const common = { seq: 3, did: DID, time: TIME }
  const retired = (t: string, fields: object): Uint8Array =>
    frameOf({ op: 1, t }, { ...common, ...fields })

  test('their fields', () => {
    const handle = eventOf(retired('#handle', { handle: 'alice.example.com' }))
    assert.ok(handle.type === '#handle')
    assert.deepEqual(
      [handle.seq, handle.did, handle.time, handle.handle],
      [3, DID, TIME, 'alice.example.com'],
    )
    for (const migrateTo of [null, 'https://pds.example.com']) {
      const event = eventOf(retired('#migrate', { migrateTo }))
      assert.ok(event.type === '#migrate')
      assert.deepEqual([event.seq, event.migrateTo], [3, migrateTo])
    }
    const tombstone = eventOf(retired('#tombstone', { later: [1] }))
    assert.ok(tombstone.type === '#tombstone')
    assert.deepEqual(tombstone.body, { ...common, later: [1] })
  })

  test('refused with a reason when they are not that', () => {
    assert.equal(reasonOf(retired('#handle', {})), 'frame-schema')
    assert.equal(reasonOf(retired('#handle', { handle: 'no handle' })), 'frame-schema')
    assert.equal(reasonOf(retired('#migrate', {})), 'frame-schema')
    assert.equal(reasonOf(retired('#migrate', { migrateTo: 5 })), 'frame-schema')
    for (const type of ['#handle', '#migrate', '#tombstone']) {
      const fields = { handle: 'alice.example.com', migrateTo: null }
      assert.equal(reasonOf(retired(type, { ...fields, seq: 0 })), 'frame-schema')
      assert.equal(reasonOf(retired(type, { ...fields, did: 'alice' })), 'did-invalid')
      assert.equal(reasonOf(retired(type, { ...fields, time: 'now' })), 'time-invalid')
      assert.equal(reasonOf(retired(type, fields)), 'ok')
    }
  })
})

test('unknown types come with what is in them', () => {
  const body = { seq: 9, what: { deep: [1, 'two'] } }
  const frame = frameOf({ op: 1, t: '#later' }, body)
  assert.deepEqual(eventOf(frame), {
    type: 'unknown',
    messageType: '#later',
    seq: 9,
    body,
    bytes: frame,
  })
  const without = eventOf(frameOf({ op: 1, t: 'com.example.other#thing' }, { seq: 'x' }))
  assert.ok(without.type === 'unknown')
  assert.deepEqual([without.messageType, without.seq], ['com.example.other#thing', null])
})

test('error frames and infos', () => {
  const error = eventOf(frameOf({ op: -1 }, { error: 'FutureCursor', message: 'Too far.' }))
  assert.ok(error.type === 'error')
  assert.deepEqual([error.error, error.message], ['FutureCursor', 'Too far.'])
  const info = eventOf(frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor' }))
  assert.ok(info.type === '#info')
  assert.deepEqual([info.name, info.message, info.seq], ['OutdatedCursor', null, null])
  assert.equal(reasonOf(frameOf({ op: -1 }, { message: 'no name' })), 'frame-schema')
  assert.equal(reasonOf(frameOf({ op: 2, t: '#commit' }, {})), 'frame-unknown-op')
})

/** Why the only operation's record cannot be read. */
function outcomeOf(frame: Uint8Array): string {
  const [op] = commitOf(frame).ops
  assert.ok(op?.record?.valid === false)
  assert.ok(op.record.issues.length === 1 && op.record.value === null)
  return String(op.record.reason)
}

describe('records of operations', () => {
  const note = blockOf({ $type: 'org.example.note', text: 'one' })
  const path = 'org.example.note/3jzfcijpj2z2a'

  test('none for a delete; links and bytes read as JSON does', () => {
    const linked = blockOf({ link: new CidLinkWrapper(note.cid), data: new Uint8Array([1, 2, 3]) })
    const [created, deleted] = commitOf(
      commitFrame([linked], [createOp(path, linked), { action: 'delete', path, cid: null }]),
    ).ops
    assert.ok(created?.record?.valid)
    const { link, data } = created.record.value
    assert.ok(link instanceof CidLinkWrapper && data instanceof BytesWrapper)
    assert.deepEqual([link.$link, data.$bytes], [cidToString(note.cid), 'AQID'])
    assert.deepEqual([deleted?.record, deleted?.recordBytes, deleted?.cid], [null, null, null])
  })

  test('a path without a slash is all collection', () => {
    const [op] = commitOf(commitFrame([note], [createOp('nothing', note)])).ops
    assert.deepEqual([op?.collection, op?.rkey, op?.path], ['nothing', '', 'nothing'])
  })

  test('what is no record is told by its reason', () => {
    const list = blockOf([1])
    const bytes = new Uint8Array([0xff])
    const broken = { cid: blockOf('broken').cid, block: bytes }
    const large = blockOf({ text: 'x'.repeat(RECORD_BYTES_MAX) })
    assert.equal(outcomeOf(commitFrame([list], [createOp(path, note)])), 'op-record-missing')
    assert.equal(outcomeOf(commitFrame([list], [createOp(path, list)])), 'op-record-malformed')
    assert.equal(outcomeOf(commitFrame([broken], [createOp(path, broken)])), 'op-record-malformed')
    assert.equal(outcomeOf(commitFrame([large], [createOp(path, large)])), 'op-record-too-large')
    for (const blocks of [new Uint8Array(0), new Uint8Array([1, 2, 3])]) {
      const frame = commitFrame([], [createOp(path, note)], { blocks: new BytesWrapper(blocks) })
      assert.equal(outcomeOf(frame), 'car-malformed')
    }
    const rootless = { blocks: new BytesWrapper(encodeCar([], [note])) }
    assert.equal(outcomeOf(commitFrame([], [createOp(path, note)], rootless)), 'car-roots')
  })

  test('blocks are hashed by checkBlocks only', () => {
    const lying = { cid: note.cid, block: blockOf({ text: 'another' }).block }
    const event = commitOf(commitFrame([lying], [createOp(path, note)]))
    assert.deepEqual(event.ops[0]?.record, { valid: true, value: { text: 'another' } })
    const checked = event.checkBlocks()
    assert.equal(checked.ok ? 'ok' : checked.reason, 'car-hash-mismatch')
  })

  test('operations are made once, and put in another form when asked for', () => {
    const event = commitOf(commitFrame([note], [createOp(path, note)]))
    assert.equal(event.ops, event.ops)
    assert.equal(event.ops[0]?.record, event.ops[0]?.record)
    let calls = 0
    const mapped = event.mapOps(({ rkey }) => `${++calls} ${rkey}`)
    assert.equal(calls, 0)
    assert.deepEqual([mapped.ops, mapped.ops, calls], [[`1 ${REV}`], [`1 ${REV}`], 1])
    assert.deepEqual([mapped.did, mapped.seq, mapped.bytes], [DID, 7, event.bytes])
  })
})
