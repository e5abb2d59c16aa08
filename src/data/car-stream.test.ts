import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { concatBytes } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import {
  CarStreamError,
  encodeCar,
  encodeCarHeader,
  readCarStream,
  writeCarStream,
  type CarBlock,
  type CarStreamLimits,
} from './car-stream.ts'
import { parseCar } from './car.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidOf } from './cid.ts'
import { encodeDrisl } from './drisl-encode.ts'
import { encodeVarint } from './varint.ts'

const LIMITS: CarStreamLimits = { blocksMax: 100, bytesMax: 1_000_000 }

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

/** A source that counts what is taken of it and notices its end. */
class Source implements AsyncIterable<Uint8Array> {
  readonly #chunks: Iterable<Uint8Array>
  pulled = 0
  isClosed = false

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.#chunks) {
        this.pulled += chunk.length
        yield chunk
      }
    } finally {
      this.isClosed = true
    }
  }
}

function chunksOf(bytes: Uint8Array, length: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += length) chunks.push(bytes.subarray(at, at + length))
  return chunks
}

interface ReadOutcome {
  readonly reason: string
  readonly roots: readonly Uint8Array[]
  readonly blocks: readonly CarBlock[]
}

/** Reads to the end or to the refusal; the source must be closed after it. */
async function readAll(
  chunks: Iterable<Uint8Array>,
  limits: CarStreamLimits = LIMITS,
): Promise<ReadOutcome> {
  const source = new Source(chunks)
  const blocks: CarBlock[] = []
  let roots: readonly Uint8Array[] = []
  let reason = 'ok'
  try {
    const stream = await readCarStream(source, limits)
    roots = stream.roots
    for await (const block of stream.blocks) blocks.push(block)
  } catch (error) {
    if (!(error instanceof CarStreamError)) throw error
    reason = error.reason
  }
  assert.ok(source.isClosed)
  return { reason, roots, blocks }
}

test('fed in pieces of every length, beginning with single bytes', async () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  for (const length of [1, 2, 3, 7, 36, 37, 100, bytes.length, bytes.length + 1]) {
    const { reason, roots, blocks } = await readAll(chunksOf(bytes, length))
    assert.equal(reason, 'ok')
    assert.deepEqual(roots, [ROOT])
    assert.deepEqual(blocks, BLOCKS)
  }
  const withEmpty = chunksOf(bytes, 5).flatMap((chunk) => [new Uint8Array(0), chunk])
  assert.deepEqual((await readAll(withEmpty)).blocks, BLOCKS)
})

test('cut at every offset: what parseCar says', async () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  for (let end = 0; end <= bytes.length; end++) await agreesWithParse(bytes.subarray(0, end), 11)
})

/** The reader and parseCar give the same reason, or the same blocks. */
async function agreesWithParse(bytes: Uint8Array, chunk: number): Promise<void> {
  const parsed = parseCar(bytes, LIMITS)
  const read = await readAll(chunksOf(bytes, chunk))
  if (!parsed.ok) {
    assert.equal(read.reason, parsed.reason)
    return
  }
  assert.equal(read.reason, 'ok')
  assert.deepEqual(read.roots, parsed.value.roots)
  assert.equal(read.blocks.length, parsed.value.blocks.size)
  for (const [i, { cid, block }] of read.blocks.entries()) {
    assert.deepEqual(cid, parsed.value.blocks.cid(i))
    assert.deepEqual(block, parsed.value.blocks.block(i))
  }
}

test('any one bit flipped: what parseCar says', async () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const at = bit >> 3
    const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << (bit & 7)))
    const parsed = parseCar(flipped, LIMITS)
    const read = await readAll(chunksOf(flipped, 50))
    assert.equal(read.reason === 'ok', parsed.ok, `bit ${bit}`)
  }
})

test('any blocks in any pieces come back as they went in', async () => {
  const block = fc.uint8Array({ maxLength: 60 }).map((bytes) => blockOf(bytes, CODEC_RAW))
  await fc.assert(
    fc.asyncProperty(
      fc.array(block, { maxLength: 20 }),
      fc.integer({ min: 1, max: 90 }),
      (blocks, length) => agreesWithParse(encodeCar([ROOT], blocks), length),
    ),
    { numRuns: 100 },
  )
})

test('the stream writer gives the bytes of encodeCar', async () => {
  const parts: Uint8Array[] = []
  for await (const part of writeCarStream([ROOT], BLOCKS)) parts.push(part)
  assert.deepEqual(concatBytes(parts), encodeCar([ROOT], BLOCKS))
  assert.equal(parts.length, 1 + BLOCKS.length)
  const none: Uint8Array[] = []
  for await (const part of writeCarStream([], [])) none.push(part)
  // The header that the reference implementation sends in front of blocks without a root.
  assert.equal(
    Buffer.from(concatBytes(none)).toString('hex'),
    '11a265726f6f7473806776657273696f6e01',
  )
})

test('the stream writer reads nothing ahead', async () => {
  let taken = 0
  function* source(): Generator<CarBlock> {
    for (const block of BLOCKS) {
      taken++
      yield block
    }
  }
  const writer = writeCarStream([ROOT], source())
  await writer.next()
  assert.equal(taken, 0)
  await writer.next()
  assert.equal(taken, 1)
})

test('refusals that have to do with limits', async () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  const reasonWith = async (limits: Partial<CarStreamLimits>): Promise<string> =>
    (await readAll(chunksOf(bytes, 10), { ...LIMITS, ...limits })).reason
  assert.equal(await reasonWith({ blocksMax: 3 }), 'car-too-many-blocks')
  assert.equal(await reasonWith({ blocksMax: 4 }), 'ok')
  assert.equal(await reasonWith({ bytesMax: bytes.length - 1 }), 'car-malformed')
  assert.equal(await reasonWith({ bytesMax: bytes.length }), 'ok')
  assert.equal(await reasonWith({ blockBytesMax: 100 }), 'car-block-too-large')
  const roots = Array.from({ length: 200 }, () => ROOT)
  assert.equal((await readAll([encodeCarHeader(roots)])).reason, 'car-malformed')
  assert.equal((await readAll([encodeCarHeader([])])).reason, 'car-roots')
  assert.equal((await readAll([])).reason, 'car-malformed')
})

/** A source that never ends: it may only be read as far as the reader needs. */
function* endless(start: Uint8Array): Generator<Uint8Array> {
  yield start
  for (;;) yield new Uint8Array(1_000)
}

test('a length bomb is refused before it is read', async () => {
  const header = encodeCarHeader([ROOT])
  const bombs = [
    encodeVarint(2 ** 28 - 1),
    concatBytes([header, encodeVarint(2 ** 28 - 1)]),
    concatBytes([header, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x01)]),
  ]
  for (const bomb of bombs) {
    const source = new Source(endless(bomb))
    await assert.rejects(async () => {
      const stream = await readCarStream(source, LIMITS)
      for await (const block of stream.blocks) assert.fail(`block of ${block.block.length}`)
    }, CarStreamError)
    assert.ok(source.pulled <= bomb.length + 1_000, `${source.pulled} bytes pulled`)
    assert.ok(source.isClosed)
  }
})

test('no more is pulled than one block asks for', async () => {
  const block = blockOf(new Uint8Array(1_000).fill(7), CODEC_RAW)
  const blocks = Array.from({ length: 90 }, () => block)
  const bytes = encodeCar([ROOT], blocks)
  const source = new Source(chunksOf(bytes, 64))
  const stream = await readCarStream(source, LIMITS)
  const entry = encodeCar([ROOT], [block]).length - encodeCar([ROOT], []).length
  let read = 0
  for await (const { block: found } of stream.blocks) {
    assert.deepEqual(found, block.block)
    read++
    const needed = encodeCarHeader([ROOT]).length + read * entry
    assert.ok(source.pulled < needed + 64, `${source.pulled} pulled, ${needed} needed`)
  }
  assert.equal(read, 90)
})

test('leaving the loop closes the source, and what was given out stays', async () => {
  const bytes = encodeCar([ROOT], BLOCKS)
  const shared = bytes.slice()
  const source = new Source(chunksOf(shared, 40))
  const stream = await readCarStream(source, LIMITS)
  let kept: CarBlock | null = null
  for await (const block of stream.blocks) {
    kept = block
    break
  }
  assert.ok(source.isClosed)
  assert.ok(source.pulled < bytes.length)
  shared.fill(0)
  assert.deepEqual(kept, BLOCKS[0])
  assert.deepEqual(stream.roots, [ROOT])
})

async function* failing(): AsyncGenerator<Uint8Array> {
  yield encodeCarHeader([ROOT])
  await Promise.reject(new Error('the disk is gone'))
}

test('an error of the source comes through, and refusals carry their code', async () => {
  const stream = await readCarStream(failing(), LIMITS)
  await assert.rejects(stream.blocks[Symbol.asyncIterator]().next(), /the disk is gone/)
  const refusal = new CarStreamError('car-roots', 'no root')
  assert.ok(refusal instanceof SkeinError)
  assert.equal(refusal.code, 'CAR_INVALID')
})
