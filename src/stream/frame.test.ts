import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, decodeFirst, encode, toBytes } from '@atcute/cbor'
import { DRISL_ITEMS_MAX, FRAME_BYTES_MAX } from '../lib/limits.ts'
import { concatBytes } from '../lib/bytes.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { encodeWireFrame, parseFrame } from './frame.ts'
import { encodeErrorFrame, encodeInfoFrame, encodeMessageFrame } from './own-frames.ts'
import { commitFrame, DID, HAS_VECTORS, messageOf, TIME, vectorFrames } from './support.test.ts'
import { payloadRange } from './wire-frame.ts'

const VECTOR_FILES = HAS_VECTORS
  ? ['relay-frames/frames.bin.gz', 'pds-capture/frames-live.bin', 'pds-capture/frames.bin']
  : []

/** Header and body as two DRISL values. */
function frameOf(header: unknown, body: unknown): Uint8Array {
  return concatBytes([encodeDrisl(header), encodeDrisl(body)])
}

/** An identity event of a size. */
function padded(padding: number): Uint8Array {
  const body = { seq: 1, did: DID, time: TIME, padding: toBytes(new Uint8Array(padding)) }
  return concatBytes([encode({ op: 1, t: '#identity' }), encode(body)])
}

function identityOf(seq: number): Uint8Array {
  return frameOf({ op: 1, t: '#identity' }, { seq, did: DID, time: TIME })
}

function outcome(bytes: Uint8Array): string {
  const result = parseFrame(bytes)
  return result.ok ? result.value.kind : result.reason
}

function payloadOf(wire: Uint8Array): Uint8Array {
  const range = payloadRange(wire, 0)
  assert.ok(range !== null)
  assert.equal(range.end, wire.length)
  return wire.subarray(range.start, range.end)
}

describe('parseFrame on frames seen on the network', () => {
  for (const file of VECTOR_FILES) {
    test(file, () => {
      const types = new Map<string, number>()
      for (const bytes of vectorFrames(file)) {
        const frame = messageOf(bytes)
        const [header, rest] = decodeFirst(bytes) as [{ t: string }, Uint8Array]
        assert.equal(frame.type, header.t)
        assert.deepEqual(frame.body, decode(rest))
        assert.equal(frame.seq, frame.body.seq)
        const integer = bytes.subarray(frame.seqOffset, frame.seqOffset + frame.seqLength)
        assert.deepEqual(decode(integer), frame.seq)
        types.set(frame.type, (types.get(frame.type) ?? 0) + 1)
      }
      if (file.endsWith('live.bin')) {
        assert.deepEqual([...types.keys()].sort(), ['#account', '#commit', '#identity', '#sync'])
        assert.equal(
          [...types.values()].reduce((a, b) => a + b),
          35,
        )
      } else assert.ok([...types.values()].reduce((a, b) => a + b) >= 30)
    })
  }
})

describe('parseFrame refuses', () => {
  const time = TIME
  const identity = { seq: 1, did: DID, time }
  const cases: [string, Uint8Array, string][] = [
    ['nothing at all', new Uint8Array(0), 'frame-malformed'],
    ['a header without a body', encodeDrisl({ op: 1, t: '#commit' }), 'frame-malformed'],
    ['a header that is an array', frameOf([1], {}), 'frame-malformed'],
    ['a header that is a link or text', frameOf('x', {}), 'frame-malformed'],
    ['a body that is an array', frameOf({ op: 1, t: '#sync' }, []), 'frame-malformed'],
    ['a body that is bytes', frameOf({ op: 1, t: '#sync' }, new Uint8Array(3)), 'frame-malformed'],
    ['no op', frameOf({ t: '#identity' }, identity), 'frame-malformed'],
    ['an op that is text', frameOf({ op: '1', t: '#identity' }, identity), 'frame-malformed'],
    ['op 0', frameOf({ op: 0, t: '#identity' }, identity), 'frame-unknown-op'],
    ['op 2', frameOf({ op: 2, t: '#identity' }, identity), 'frame-unknown-op'],
    ['op -2', frameOf({ op: -2 }, identity), 'frame-unknown-op'],
    ['op 1 without t', frameOf({ op: 1 }, identity), 'frame-malformed'],
    ['t that is a number', frameOf({ op: 1, t: 5 }, identity), 'frame-malformed'],
    ['an error without a name', frameOf({ op: -1 }, { message: 'x' }), 'frame-schema'],
    [
      'three values',
      concatBytes([frameOf({ op: 1, t: '#identity' }, identity), encodeDrisl(1)]),
      'frame-malformed',
    ],
    [
      'keys out of order',
      concatBytes([Uint8Array.of(0xa2, 0x62, 0x6f, 0x70, 1, 0x61, 0x74, 0x61, 0x78), encode({})]),
      'frame-malformed',
    ],
    [
      'a float in an unknown field',
      concatBytes([encodeDrisl({ op: 1, t: '#x' }), encode({ a: 1.5 })]),
      'frame-malformed',
    ],
    ['info without a name', frameOf({ op: 1, t: '#info' }, {}), 'frame-schema'],
  ]
  for (const [name, bytes, expected] of cases) {
    test(name, () => assert.equal(outcome(bytes), expected))
  }

  test('a frame over the limit, before looking at it', () => {
    assert.equal(outcome(new Uint8Array(FRAME_BYTES_MAX + 1)), 'frame-too-large')
  })

  test('a frame that would not fit with a longer seq', () => {
    const overhead = padded(70_000).length - 70_000
    const sized = (length: number) => padded(length - overhead)
    assert.equal(sized(1_000_000).length, 1_000_000)
    assert.equal(outcome(sized(FRAME_BYTES_MAX - 8)), 'message')
    assert.equal(outcome(sized(FRAME_BYTES_MAX - 7)), 'frame-too-large')
    const wire = encodeWireFrame(messageOf(sized(FRAME_BYTES_MAX - 8)), Number.MAX_SAFE_INTEGER)
    assert.equal(payloadOf(wire).length, FRAME_BYTES_MAX)
  })
})

describe('parseFrame takes', () => {
  test('unknown fields in header and body', () => {
    const bytes = frameOf(
      { op: 1, t: '#identity', x: [1] },
      { seq: 7, did: DID, time: TIME, later: { any: 'thing' } },
    )
    const frame = messageOf(bytes)
    assert.equal(frame.seq, 7)
    assert.deepEqual(
      bytes.subarray(frame.seqOffset, frame.seqOffset + frame.seqLength),
      Uint8Array.of(7),
    )
  })

  test('unknown types, with their seq when it is one', () => {
    assert.deepEqual(parseFrame(frameOf({ op: 1, t: '#new' }, { seq: 5 })), {
      ok: true,
      value: { kind: 'unknown', type: '#new', seq: 5, body: { seq: 5 } },
    })
    for (const seq of [0, -1, 'x', null]) {
      assert.deepEqual(parseFrame(frameOf({ op: 1, t: '#new' }, { seq })), {
        ok: true,
        value: { kind: 'unknown', type: '#new', body: { seq } },
      })
    }
    const long = parseFrame(frameOf({ op: 1, t: 'x'.repeat(10_000) }, {}))
    assert.ok(long.ok && long.value.kind === 'unknown')
    assert.equal(long.value.type.length, 512)
  })

  test('errors and infos, with texts cut', () => {
    const error = parseFrame(encodeErrorFrame('FutureCursor', 'Cursor in the future.'))
    assert.deepEqual(error, {
      ok: true,
      value: { kind: 'error', error: 'FutureCursor', message: 'Cursor in the future.' },
    })
    const info = parseFrame(encodeInfoFrame('OutdatedCursor'))
    assert.deepEqual(info, { ok: true, value: { kind: 'info', name: 'OutdatedCursor' } })
    const long = parseFrame(encodeErrorFrame('x'.repeat(9_000)))
    assert.ok(long.ok && long.value.kind === 'error')
    assert.equal(long.value.error.length, 512)
  })

  test('a seq of 1 and of 2^53 - 1, and none outside', () => {
    assert.equal(messageOf(identityOf(1)).seq, 1)
    assert.equal(messageOf(identityOf(Number.MAX_SAFE_INTEGER)).seqLength, 9)
    assert.equal(outcome(identityOf(0)), 'frame-schema')
    assert.equal(outcome(identityOf(-5)), 'frame-schema')
  })
})

describe('own frames', () => {
  test('are what the specification draws', () => {
    // {"op": -1} {"error": "A"}; {"t": "#info", "op": 1} {"name": "A", "message": "b"}
    assert.equal(Buffer.from(encodeErrorFrame('A')).toString('hex'), 'a1626f7020a1656572726f726141')
    assert.equal(
      Buffer.from(encodeInfoFrame('A', 'b')).toString('hex'),
      'a261746523696e666f626f7001a2646e616d656141676d6573736167656162',
    )
  })
})

describe('parseFrame on damaged frames', () => {
  const frame = commitFrame(70_000)

  test('cut at every offset, it refuses', () => {
    assert.equal(outcome(frame), 'message')
    for (let end = 0; end < frame.length; end++) {
      assert.equal(outcome(frame.subarray(0, end)), 'frame-malformed', `cut at ${end}`)
    }
  })

  test('with any bit flipped, it neither throws nor reads other bytes than those given', () => {
    const outcomes = new Set<string>()
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const damaged = frame.slice()
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const result = parseFrame(damaged)
      outcomes.add(result.ok ? result.value.kind : result.reason)
      if (result.ok && result.value.kind === 'message') {
        const { seqOffset, seqLength, seq } = result.value
        assert.equal(decode(damaged.subarray(seqOffset, seqOffset + seqLength)), seq)
      }
    }
    for (const kind of ['message', 'unknown', 'frame-malformed', 'frame-schema', 'did-invalid']) {
      assert.ok(outcomes.has(kind), `no flip gave ${kind}`)
    }
  })

  test('deep, wide and long values are refused or taken without harm', () => {
    const header = encodeDrisl({ op: 1, t: '#new' })
    const deep = new Uint8Array(200_000).fill(0x81)
    deep[deep.length - 1] = 0x80
    assert.equal(outcome(concatBytes([header, deep])), 'frame-malformed')
    assert.equal(outcome(concatBytes([deep, deep])), 'frame-malformed')
    assert.equal(outcome(frameOf({ op: 1, t: '#new' }, wideOf(100_000))), 'frame-malformed')
    const wide = wideOf(DRISL_ITEMS_MAX - 10)
    assert.equal(outcome(frameOf({ op: 1, t: '#new' }, wide)), 'unknown')
    const identity = frameOf({ op: 1, t: '#identity' }, { ...wide, seq: 9, did: DID, time: TIME })
    assert.equal(messageOf(identity).seq, 9)
    const bomb = Uint8Array.of(0xa1, 0x61, 0x61, 0x9b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
    assert.equal(outcome(concatBytes([header, bomb])), 'frame-malformed')
    const proto = frameOf({ op: 1, t: '#new' }, { ['__proto__']: 1, constructor: 2 })
    assert.equal(outcome(proto), 'unknown')
  })

  test('many wrong items cost no stack and no long message, too many are not decoded', () => {
    const base = decodeFirst(commitFrame(1))[1]
    const body = decode(base) as Record<string, unknown>
    const frameWith = (items: number): Uint8Array =>
      frameOf({ op: 1, t: '#commit' }, { ...body, blobs: Array.from({ length: items }, () => 0) })
    assert.equal(outcome(frameWith(1_000_000)), 'frame-malformed')
    const result = parseFrame(frameWith(DRISL_ITEMS_MAX - 100))
    assert.ok(!result.ok)
    assert.equal(result.reason, 'frame-schema')
    assert.equal(result.detail, '#commit: blobs is not what the lexicon says')
  })
})

/** A map of `keys` short keys. */
function wideOf(keys: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k${i}`, i]))
}

/** Both sides of every width of a CBOR integer. */
const SEQS = [1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7, 2 ** 53 - 1]

function check(bytes: Uint8Array, seq: number): void {
  const before = messageOf(bytes)
  const payload = payloadOf(encodeWireFrame(before, seq))
  const after = messageOf(payload)
  assert.equal(after.seq, seq)
  const { seqOffset, seqLength } = before
  // The independent encoder gives the integer; all else is compared byte for byte.
  const expected = Buffer.concat([
    bytes.subarray(0, seqOffset),
    encode(seq),
    bytes.subarray(seqOffset + seqLength),
  ])
  assert.ok(expected.equals(payload), `seq ${before.seq} to ${seq}`)
  assert.deepEqual({ ...after.body, seq: 0 }, { ...before.body, seq: 0 })
}

describe('encodeWireFrame changes nothing but seq', () => {
  for (const file of VECTOR_FILES) {
    test(file, () => {
      for (const bytes of vectorFrames(file)) for (const seq of SEQS) check(bytes, seq)
    })
  }

  test('from every width to every width', () => {
    for (const from of SEQS) for (const to of SEQS) check(commitFrame(from), to)
  })

  test('around the lengths where the WebSocket header grows', () => {
    for (const size of [0, 60, 120, 65_300, 65_400, 65_500]) {
      for (let extra = 0; extra < 60; extra++) {
        const body = { seq: 1, did: DID, time: TIME, x: 'y'.repeat(size + extra) }
        check(encodeMessageFrame('#identity', body), 2 ** 33)
      }
    }
  })

  test('a seq that is none is a mistake of the program', () => {
    const frame = messageOf(commitFrame(5))
    for (const seq of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => encodeWireFrame(frame, seq), { name: 'AssertionError' })
    }
  })
})
