import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'

import { concatBytes, fromHex, toHex, utf8 } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import { DRISL_DEPTH_MAX } from '../lib/limits.ts'
import {
  checkDrisl,
  decodeDrisl,
  drislFault,
  findMapEntry,
  mapHead,
  type DrislFault,
} from './drisl.ts'
import { encodeDrisl, pushHead } from './drisl-encode.ts'

const DIGEST = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03'

const bytesOf = (hex: string): Uint8Array => {
  const bytes = fromHex(hex.replaceAll(' ', ''))
  assert.ok(bytes, hex)
  return bytes
}

/** Hexadecimal of bytes that are not strict DRISL, and what is wrong with them. */
const FAULTY: readonly (readonly [string, DrislFault])[] = [
  ['', 'truncated'],
  ['18', 'truncated'],
  ['19 01', 'truncated'],
  ['1b 0000000100000', 'truncated'],
  ['61', 'truncated'],
  ['62 61', 'truncated'],
  ['42 01', 'truncated'],
  ['82 01', 'truncated'],
  ['a1 61 61', 'truncated'],
  ['a1 62 61', 'truncated'],
  ['d8', 'truncated'],
  ['d8 2a', 'truncated'],
  [`d8 2a 58 25 00 01 55 12 20 ${DIGEST.slice(2)}`, 'truncated'],
  // Length bombs.
  ['5a ffffffff', 'truncated'],
  ['7a ffffffff', 'truncated'],
  ['9a ffffffff', 'truncated'],
  ['ba ffffffff', 'truncated'],
  ['5b 001fffffffffffff 00', 'truncated'],
  ['9b 001fffffffffffff 00', 'truncated'],
  ['bb 001fffffffffffff 60', 'truncated'],
  ['a1 7b 001fffffffffffff 00', 'truncated'],
  ['18 17', 'not-minimal'],
  ['19 00ff', 'not-minimal'],
  ['1a 0000ffff', 'not-minimal'],
  ['1b 00000000ffffffff', 'not-minimal'],
  ['38 17', 'not-minimal'],
  ['58 01 00', 'not-minimal'],
  ['78 01 61', 'not-minimal'],
  ['98 01 00', 'not-minimal'],
  ['b8 01 61 61 00', 'not-minimal'],
  ['a1 78 01 61 00', 'not-minimal'],
  [`d9 002a 58 25 00 01 55 12 20 ${DIGEST}`, 'not-minimal'],
  ['1b 0020000000000000', 'integer-range'],
  ['1b ffffffffffffffff', 'integer-range'],
  ['3b 001fffffffffffff', 'integer-range'],
  ['9b 0020000000000000', 'integer-range'],
  ['5f 41 00 ff', 'indefinite-length'],
  ['7f 61 61 ff', 'indefinite-length'],
  ['9f ff', 'indefinite-length'],
  ['bf ff', 'indefinite-length'],
  ['ff', 'indefinite-length'],
  ['1f', 'indefinite-length'],
  ['1c', 'reserved-head'],
  ['5d', 'reserved-head'],
  ['fe', 'reserved-head'],
  ['61 80', 'invalid-utf8'],
  ['62 c328', 'invalid-utf8'],
  ['62 c080', 'invalid-utf8'],
  ['61 c3', 'invalid-utf8'],
  ['63 eda080', 'invalid-utf8'],
  ['64 f4908080', 'invalid-utf8'],
  ['a1 61 80 00', 'invalid-utf8'],
  ['c0 00', 'tag'],
  ['d8 29 00', 'tag'],
  ['d9 d9f7 00', 'tag'],
  [`d8 2a 58 24 01 55 12 20 ${DIGEST} 00`, 'cid'],
  [`d8 2a 58 25 01 01 55 12 20 ${DIGEST}`, 'cid'],
  [`d8 2a 58 25 00 02 55 12 20 ${DIGEST}`, 'cid'],
  [`d8 2a 58 25 00 01 70 12 20 ${DIGEST}`, 'cid'],
  [`d8 2a 58 25 00 01 55 1e 20 ${DIGEST}`, 'cid'],
  [`d8 2a 58 25 00 01 55 12 1f ${DIGEST}`, 'cid'],
  [`d8 2a 78 25 00 01 55 12 20 ${DIGEST}`, 'cid'],
  ['f9 3e00', 'float'],
  ['fa 3fc00000', 'float'],
  ['fb 3ff8000000000000', 'float'],
  ['f7', 'simple-value'],
  ['e0', 'simple-value'],
  ['f3', 'simple-value'],
  ['f8 20', 'simple-value'],
  ['f8 14', 'simple-value'],
  ['a1 00 00', 'map-key'],
  ['a1 40 00', 'map-key'],
  ['a1 a0 00', 'map-key'],
  ['a1 f6 00', 'map-key'],
  ['a2 61 61 00 61 61 01', 'map-key-order'],
  ['a2 61 62 00 61 61 01', 'map-key-order'],
  ['a2 62 6161 00 61 62 01', 'map-key-order'],
  // Bytes above 0x7f sort after those below.
  ['a2 62 c3a9 00 62 6161 01', 'map-key-order'],
  ['a2 60 00 60 01', 'map-key-order'],
  ['00 00', 'trailing-bytes'],
  ['a0 f6', 'trailing-bytes'],
]

test('each fault is named', () => {
  for (const [hex, fault] of FAULTY) {
    const even = hex.replaceAll(' ', '')
    const bytes = bytesOf(even.length % 2 === 0 ? even : even.slice(0, -1))
    const decoded = decodeDrisl(bytes)
    assert.equal(decoded.ok ? 'accepted' : decoded.reason, fault, hex)
    const end = checkDrisl(bytes)
    if (fault === 'trailing-bytes') assert.ok(end > 0 && end < bytes.length, hex)
    else assert.equal(drislFault(end), fault, hex)
  }
})

test('faults are found inside of arrays and maps too', () => {
  for (const [hex, fault] of FAULTY) {
    if (fault === 'truncated' || fault === 'trailing-bytes') continue
    const inner = bytesOf(hex)
    for (const around of [Uint8Array.of(0x82, 0xf5), Uint8Array.of(0xa1, 0x61, 0x61)]) {
      const decoded = decodeDrisl(concatBytes([around, inner]))
      assert.equal(decoded.ok ? 'accepted' : decoded.reason, fault, hex)
    }
  }
})

/** Hexadecimal and the value it stands for; each is written the same. */
const VALID: readonly (readonly [string, unknown])[] = [
  ['00', 0],
  ['17', 23],
  ['18 18', 24],
  ['18 ff', 255],
  ['19 0100', 256],
  ['19 ffff', 65_535],
  ['1a 00010000', 65_536],
  ['1a ffffffff', 4_294_967_295],
  ['1b 0000000100000000', 4_294_967_296],
  ['1b 001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['20', -1],
  ['37', -24],
  ['38 18', -25],
  ['3a ffffffff', -4_294_967_296],
  ['3b 001ffffffffffffe', Number.MIN_SAFE_INTEGER],
  ['40', new BytesWrapper(new Uint8Array(0))],
  ['43 00ff80', new BytesWrapper(Uint8Array.of(0, 255, 128))],
  ['60', ''],
  ['63 efbbbf', '\uFEFF'],
  ['64 f09f9880', '😀'],
  ['80', []],
  ['83 01 80 a0', [1, [], {}]],
  ['a0', {}],
  ['a2 61 62 f5 62 6161 f4', { b: true, aa: false }],
  ['a3 60 00 62 6161 01 62 c3a9 02', { '': 0, aa: 1, é: 2 }],
  ['f6', null],
  [`d8 2a 58 25 00 01 55 12 20 ${DIGEST}`, new CidLinkWrapper(bytesOf(`01551220${DIGEST}`))],
  [`d8 2a 58 25 00 01 71 12 20 ${DIGEST}`, new CidLinkWrapper(bytesOf(`01711220${DIGEST}`))],
]

test('values read and written', () => {
  for (const [hex, value] of VALID) {
    const bytes = bytesOf(hex)
    const decoded = decodeDrisl(bytes)
    assert.ok(decoded.ok, hex)
    assert.deepEqual(decoded.value, value, hex)
    assert.equal(toHex(encodeDrisl(value)), hex.replaceAll(' ', ''))
    assert.equal(checkDrisl(bytes), bytes.length)
    assert.equal(
      checkDrisl(concatBytes([Uint8Array.of(1, 2, 3), bytes, Uint8Array.of(9)]), 3),
      bytes.length + 3,
    )
  }
})

test('keys that JavaScript objects have of themselves', () => {
  const value: unknown = JSON.parse(
    '{"__proto__":{"a":1},"constructor":2,"toString":[3],"hasOwnProperty":null}',
  )
  const bytes = encodeDrisl(value)
  const decoded = decodeDrisl(bytes)
  assert.ok(decoded.ok)
  assert.deepEqual(decoded.value, value)
  assert.equal(Object.getPrototypeOf(decoded.value), Object.prototype)
  assert.deepEqual(encodeDrisl(decoded.value), bytes)
  assert.equal(({} as Record<string, unknown>)['a'], undefined)
})

const nested = (head: number, depth: number): Uint8Array =>
  concatBytes([new Uint8Array(depth - 1).fill(head), Uint8Array.of(0x80)])

test('depth: 128 levels, not one more, and 200,000 without harm', () => {
  assert.equal(decodeDrisl(nested(0x81, DRISL_DEPTH_MAX)).ok, true)
  const overByEmpty = decodeDrisl(nested(0x81, DRISL_DEPTH_MAX + 1))
  assert.equal(overByEmpty.ok ? '' : overByEmpty.reason, 'too-deep')
  const filled = concatBytes([new Uint8Array(DRISL_DEPTH_MAX).fill(0x81), Uint8Array.of(0)])
  assert.equal(decodeDrisl(filled).ok, true)
  const over = decodeDrisl(concatBytes([Uint8Array.of(0x81), filled]))
  assert.equal(over.ok ? '' : over.reason, 'too-deep')
  const map = Uint8Array.of(0xa1, 0x61, 0x61)
  const maps = concatBytes([...Array.from({ length: 200_000 }, () => map), Uint8Array.of(0)])
  for (const bytes of [nested(0x81, 200_000), new Uint8Array(200_000).fill(0x81), maps]) {
    const deep = decodeDrisl(bytes)
    assert.equal(deep.ok ? '' : deep.reason, 'too-deep')
  }
})

test('what is written is never deeper than what is read', () => {
  let value: unknown = 0
  for (let i = 0; i < DRISL_DEPTH_MAX; i++) value = i % 2 === 0 ? [value] : { a: value }
  assert.equal(decodeDrisl(encodeDrisl(value)).ok, true)
  assert.throws(() => encodeDrisl([value]), unsupported)
  let deep: unknown = 0
  for (let i = 0; i < 200_000; i++) deep = [deep]
  assert.throws(() => encodeDrisl(deep), unsupported)
})

const unsupported = (error: unknown): boolean =>
  error instanceof SkeinError && error.code === 'ENCODE_UNSUPPORTED'

test('what has no encoding', () => {
  const foreign = new CidLinkWrapper(bytesOf(`01701220${DIGEST}`))
  const cases = [
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    -(2 ** 53),
    1n,
    undefined,
    Symbol('x'),
    () => 0,
    new Date(0),
    new Map(),
    '\uD800',
    { '\uD800': 1 },
    [undefined],
    foreign,
    new CidLinkWrapper(new Uint8Array(0)),
  ]
  for (const value of cases) assert.throws(() => encodeDrisl(value), unsupported)
  assert.deepEqual(encodeDrisl({ a: undefined, b: 1 }), encodeDrisl({ b: 1 }))
})

test('many entries are checked in linear time', () => {
  const entries = Array.from({ length: 100_000 }, (_, i) => [`k${String(i).padStart(6, '0')}`, i])
  const bytes = encodeDrisl(Object.fromEntries(entries))
  const start = performance.now()
  assert.equal(checkDrisl(bytes), bytes.length)
  assert.ok(performance.now() - start < 1_000)
})

test('findMapEntry gives the ranges of an entry', () => {
  const bytes = concatBytes([
    Uint8Array.of(0xf6),
    encodeDrisl({ a: 1, bb: [2, { c: 3 }], ccc: 'x' }),
  ])
  const entry = findMapEntry(bytes, 1, utf8('bb'))
  assert.ok(entry)
  assert.equal(toHex(bytes.subarray(entry.keyStart, entry.value.end)), '6262628202a1616303')
  assert.equal(toHex(bytes.subarray(entry.value.start, entry.value.end)), '8202a1616303')
  assert.equal(findMapEntry(bytes, 1, utf8('c')), null)
  assert.equal(findMapEntry(bytes, 1, utf8('bbb')), null)
  assert.equal(findMapEntry(bytes, 0, utf8('a')), null)
  assert.equal(findMapEntry(Uint8Array.of(0xa1, 0x00, 0x00), 0, utf8('a')), null)
  assert.equal(findMapEntry(Uint8Array.of(0xa1, 0x61, 0x61, 0xff), 0, utf8('a')), null)
})

test('mapHead and pushHead', () => {
  const many = encodeDrisl(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, i])))
  assert.deepEqual(mapHead(many, 0), { count: 300, end: 3 })
  assert.deepEqual(mapHead(Uint8Array.of(0xa0), 0), { count: 0, end: 1 })
  for (const other of ['80', '60', 'f6', '']) assert.equal(mapHead(bytesOf(other), 0), null)
  const out: number[] = []
  pushHead(out, 2, 65_536)
  assert.equal(toHex(Uint8Array.from(out)), '5a00010000')
})
