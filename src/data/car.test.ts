import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { CidLinkWrapper } from '@atcute/cid'
import * as fc from 'fast-check'

import { concatBytes } from '../lib/bytes.ts'
import { COMMIT_CAR_BLOCKS_MAX } from '../lib/limits.ts'
import { encodeCar, encodeCarBlock, encodeCarHeader, type CarBlock } from './car-stream.ts'
import { parseCar, type Car } from './car.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidOf } from './cid.ts'
import { encodeDrisl } from './drisl-encode.ts'
import { encodeVarint } from './varint.ts'

const LIMITS = { blocksMax: COMMIT_CAR_BLOCKS_MAX }

const blockOf = (block: Uint8Array, codec: 0x71 | 0x55 = CODEC_DAG_CBOR): CarBlock => ({
  cid: cidOf(codec, block),
  block,
})

const BLOCKS = [
  blockOf(encodeDrisl({ a: 1 })),
  blockOf(encodeDrisl({ b: 'x'.repeat(200) })),
  blockOf(new Uint8Array(0), CODEC_RAW),
  blockOf(Uint8Array.of(1, 2, 3), CODEC_RAW),
]
const ROOT = cidOf(CODEC_DAG_CBOR, encodeDrisl({ a: 1 }))

function parsed(bytes: Uint8Array): Car {
  const car = parseCar(bytes, LIMITS)
  assert.ok(car.ok, car.ok ? '' : car.detail)
  return car.value
}

function reasonOf(bytes: Uint8Array, limits: Parameters<typeof parseCar>[1] = LIMITS): string {
  const car = parseCar(bytes, limits)
  return car.ok ? 'accepted' : car.reason
}

test('the layout, by hand', () => {
  const block = Uint8Array.of(0xa1, 0x61, 0x61, 0x01)
  const digest = createHash('sha256').update(block).digest('hex')
  const roots = `a265726f6f747381d82a58250001711220${digest}6776657273696f6e01`
  const hex = `3a${roots}2801711220${digest}a1616101`
  const bytes = Buffer.from(hex, 'hex')
  assert.deepEqual(encodeCar([ROOT], [blockOf(block)]), new Uint8Array(bytes))
  const car = parsed(bytes)
  assert.deepEqual(car.roots, [ROOT])
  assert.deepEqual(car.blocks.get(ROOT), block)
})

test('blocks and roots', () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  const car = parsed(bytes)
  assert.deepEqual(car.roots, [ROOT])
  assert.equal(car.blocks.size, BLOCKS.length)
  for (const [i, { cid, block }] of BLOCKS.entries()) {
    assert.deepEqual(car.blocks.cid(i), cid)
    assert.deepEqual(car.blocks.block(i), block)
    assert.deepEqual(car.blocks.get(cid), block)
  }
  assert.equal(car.blocks.get(cidOf(CODEC_RAW, Uint8Array.of(9))), null)
  // The digest is known, the codec is another.
  assert.equal(car.blocks.get(cidOf(CODEC_RAW, encodeDrisl({ a: 1 }))), null)
})

test('several roots, no block, any order, duplicates, a Buffer', () => {
  const roots = BLOCKS.map(({ cid }) => cid)
  assert.deepEqual(parsed(encodeCar(roots, [])).roots, roots)
  assert.equal(parsed(encodeCar([ROOT], [])).blocks.size, 0)
  const repeated = [...BLOCKS.toReversed(), ...BLOCKS]
  assert.equal(parsed(encodeCar([ROOT], repeated)).blocks.find(ROOT), 3)
  const buffer = Buffer.from(encodeCar([ROOT], BLOCKS))
  assert.deepEqual(parsed(buffer).blocks.get(ROOT), BLOCKS[0]?.block)
})

test('cut at every offset: refused, but for the ends of blocks', () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  const ends = new Map<number, number>()
  for (let count = 0; count <= BLOCKS.length; count++) {
    ends.set(encodeCar([ROOT], BLOCKS.slice(0, count)).length, count)
  }
  for (let end = 0; end <= bytes.length; end++) {
    const count = ends.get(end)
    const cut = bytes.subarray(0, end)
    if (count === undefined) assert.equal(reasonOf(cut), 'car-malformed', `cut at ${end}`)
    else assert.equal(parsed(cut).blocks.size, count)
  }
})

test('any one bit flipped: refused, but for the digest and codec of the root', () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  const header = encodeCarHeader([ROOT])
  const rootStart = Buffer.from(header).indexOf(Buffer.from(ROOT))
  let accepted = 0
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit >> 3
    const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << (bit & 7)))
    const car = parseCar(flipped, LIMITS)
    if (!car.ok) continue
    accepted++
    assert.ok(at >= rootStart + 4 && at < rootStart + ROOT.length, `bit ${bit}`)
    assert.equal(car.value.blocks.get(car.value.roots[0] ?? ROOT), null)
  }
  assert.equal(accepted, 32 * 8)
})

const header = (value: unknown): Uint8Array => {
  const bytes = encodeDrisl(value)
  return concatBytes([encodeVarint(bytes.length), bytes])
}
const link = new CidLinkWrapper(ROOT)

test('headers', () => {
  assert.equal(reasonOf(header({ roots: [link], version: 1 })), 'accepted')
  assert.equal(reasonOf(header({ roots: [link], version: 1, more: true })), 'accepted')
  assert.equal(reasonOf(header({ roots: [], version: 1 })), 'car-roots')
  const malformed: unknown[] = [
    { roots: [link], version: 2 },
    { version: 2 },
    { roots: [link] },
    { version: 1 },
    { roots: null, version: 1 },
    { roots: link, version: 1 },
    { roots: [link, 'text'], version: 1 },
    { roots: [{ $link: link.$link }], version: 1 },
    { roots: [link], version: '1' },
    [],
    null,
    'header',
  ]
  for (const value of malformed) assert.equal(reasonOf(header(value)), 'car-malformed')
  assert.equal(reasonOf(new Uint8Array(0)), 'car-malformed')
  assert.equal(reasonOf(Uint8Array.of(0)), 'car-malformed')
  const unsorted = Uint8Array.of(
    0xa2,
    0x67,
    ...Buffer.from('version'),
    1,
    0x65,
    ...Buffer.from('roots'),
    0x80,
  )
  assert.equal(reasonOf(Uint8Array.of(unsorted.length, ...unsorted)), 'car-malformed')
  const roots = Array.from({ length: 100 }, () => link)
  assert.equal(reasonOf(header({ roots, version: 1 })), 'car-malformed')
  const fitting = Array.from({ length: 90 }, () => link)
  assert.equal(reasonOf(header({ roots: fitting, version: 1 })), 'accepted')
})

test('other kinds of CIDs, wrong hashes, sizes', () => {
  const start = encodeCarHeader([ROOT])
  const [first] = BLOCKS
  assert.ok(first)
  const entry = (cid: Uint8Array, block: Uint8Array): Uint8Array =>
    concatBytes([start, encodeVarint(cid.length + block.length), cid, block])
  const { cid, block } = first
  assert.equal(reasonOf(entry(cid, block)), 'accepted')
  assert.equal(reasonOf(entry(cid.with(0, 0), block)), 'car-cid-kind')
  assert.equal(reasonOf(entry(cid.with(1, 0x70), block)), 'car-cid-kind')
  assert.equal(reasonOf(entry(cid.with(2, 0x1e), block)), 'car-cid-kind')
  assert.equal(reasonOf(entry(cid.with(3, 0x10), block)), 'car-cid-kind')
  // Version 0: 34 bytes of multihash.
  assert.equal(reasonOf(entry(cid.subarray(2), block)), 'car-cid-kind')
  assert.equal(reasonOf(entry(new Uint8Array(0), block)), 'car-cid-kind')
  assert.equal(reasonOf(entry(new Uint8Array(0), new Uint8Array(0))), 'car-cid-kind')
  assert.equal(reasonOf(entry(cid.with(9, (cid[9] ?? 0) ^ 1), block)), 'car-hash-mismatch')
  assert.equal(reasonOf(entry(cid, concatBytes([block, Uint8Array.of(0)]))), 'car-hash-mismatch')
  const limits = { blocksMax: 10, blockBytesMax: block.length }
  assert.equal(reasonOf(entry(cid, block), limits), 'accepted')
  const below = { blocksMax: 10, blockBytesMax: block.length - 1 }
  assert.equal(reasonOf(entry(cid, block), below), 'car-block-too-large')
  const long = new Uint8Array(2_000_001)
  assert.equal(reasonOf(entry(cidOf(CODEC_RAW, long), long)), 'car-block-too-large')
})

test('10,000 blocks pass, one more does not; small limits hold', () => {
  const blocks = Array.from({ length: COMMIT_CAR_BLOCKS_MAX }, (_, i) => blockOf(encodeDrisl(i)))
  assert.equal(parsed(encodeCar([ROOT], blocks)).blocks.size, COMMIT_CAR_BLOCKS_MAX)
  const over = encodeCar([ROOT], [...blocks, blockOf(encodeDrisl(-1))])
  assert.equal(reasonOf(over), 'car-too-many-blocks')
  assert.equal(reasonOf(encodeCar([ROOT], BLOCKS), { blocksMax: 3 }), 'car-too-many-blocks')
  assert.equal(reasonOf(encodeCar([ROOT], BLOCKS), { blocksMax: 4 }), 'accepted')
})

test('10,000 copies of one block cost no more than 10,000 blocks', () => {
  const [first] = BLOCKS
  assert.ok(first)
  const copies = encodeCar(
    [ROOT],
    Array.from({ length: COMMIT_CAR_BLOCKS_MAX }, () => first),
  )
  const start = performance.now()
  const car = parsed(copies)
  for (let i = 0; i < COMMIT_CAR_BLOCKS_MAX; i++) assert.equal(car.blocks.find(first.cid), 0)
  assert.ok(performance.now() - start < 1_000)
})

test('a length that runs past the end, alone and in front of good blocks', () => {
  const start = encodeCarHeader([ROOT])
  for (const length of [1, 36, 127, 2 ** 28 - 1]) {
    assert.equal(reasonOf(concatBytes([start, encodeVarint(length)])), 'car-malformed')
  }
  const [first] = BLOCKS
  assert.ok(first)
  const good = encodeCarBlock(first.cid, first.block)
  assert.equal(reasonOf(concatBytes([start, good, Uint8Array.of(0xff)])), 'car-malformed')
  assert.equal(reasonOf(concatBytes([start, good, Uint8Array.of(0)])), 'car-cid-kind')
  assert.equal(reasonOf(concatBytes([start, Uint8Array.of(0x80, 0x00), good])), 'car-malformed')
})

test('random and damaged bytes never throw', () => {
  const good = encodeCar([ROOT], BLOCKS)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(good.length), (noise, at) => {
      parseCar(noise, LIMITS)
      const damaged = good.slice()
      damaged.set(noise.subarray(0, good.length - at), at)
      parseCar(damaged, LIMITS)
      parseCar(concatBytes([good, noise]), LIMITS)
    }),
    { numRuns: 2_000 },
  )
})
