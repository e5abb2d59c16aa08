import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fromString } from '@atcute/cid'

import { Album, BLOB_BYTES_MAX, blobBytes, makeBlob, type SimBlob } from './blobs.ts'
import { streamOf } from './distributions.ts'
import { baseBlobs, LiveBlobs, NO_BLOBS } from './live-blobs.ts'

function some(count: number, medianBytes = 2_000): SimBlob[] {
  const random = streamOf(1, 'blobs')
  return Array.from({ length: count }, () => makeBlob(random, medianBytes))
}

test('the CID is that of the bytes, which begin as files of their type do', () => {
  const types = new Set<string>()
  for (const blob of some(60)) {
    const bytes = blobBytes(blob, 0, blob.size)
    assert.equal(bytes.length, blob.size)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const { codec, digest: multihash } = fromString(blob.text)
    assert.deepEqual([codec, Buffer.from(multihash.contents).toString('hex')], [0x55, digest])
    const hex = Buffer.from(bytes.subarray(0, 12)).toString('hex')
    if (blob.mimeType === 'image/jpeg') assert.match(hex, /^ffd8ff/)
    if (blob.mimeType === 'image/png') assert.match(hex, /^89504e470d0a1a0a/)
    if (blob.mimeType === 'image/webp') {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(blob.size - 8)
      assert.equal(hex, `52494646${length.toString('hex')}57454250`)
    }
    types.add(blob.mimeType)
  }
  assert.equal(types.size, 3)
})

test('any range is that part of the whole', () => {
  for (const blob of some(20, 100)) {
    const whole = blobBytes(blob, 0, blob.size)
    for (let start = 0; start <= 40; start++) {
      for (const end of [start, start + 1, start + 5, blob.size]) {
        assert.deepEqual(blobBytes(blob, start, end), whole.subarray(start, end))
      }
    }
  }
})

test('sizes scatter about the median, within bounds; no two blobs are alike', () => {
  const blobs = some(400)
  const sizes = blobs.map(({ size }) => size).toSorted((a, b) => a - b)
  const median = sizes[200] ?? 0
  assert.ok(median > 1_600 && median < 2_400, `median ${median}`)
  assert.ok((sizes[0] ?? 0) >= 64 && (sizes.at(-1) ?? 0) <= 32_000)
  assert.ok((sizes.at(-1) ?? 0) > 5 * median)
  assert.equal(new Set(blobs.map(({ text }) => text)).size, 400)
  assert.deepEqual(some(400), blobs, 'the same every time')
  const random = streamOf(1, 'large')
  for (let i = 0; i < 8; i++) {
    assert.ok(makeBlob(random, BLOB_BYTES_MAX).size <= BLOB_BYTES_MAX)
  }
})

test('an album shows some images again', () => {
  const album = new Album(100)
  const random = streamOf(1, 'album')
  const texts = Array.from({ length: 300 }, () => album.next(random).text)
  const again = 300 - new Set(texts).size
  assert.ok(again > 15 && again < 50, `${again} of 300`)
})

function textsOf(...blobs: SimBlob[]): string[] {
  return blobs.map(({ text }) => text).toSorted()
}

test('a blob goes with the last record that refers to it', () => {
  const [a, b, c] = some(3) as [SimBlob, SimBlob, SimBlob]
  const base = baseBlobs(
    new Map([
      ['x/1', [a]],
      ['x/2', [a, b]],
    ]),
  )
  const live = new LiveBlobs(base, 'r1')
  const now = (since: string | null = null): string[] =>
    live
      .list(since)
      .map(({ text }) => text)
      .toSorted()
  assert.deepEqual(now(), textsOf(a, b))
  live.write('x/2', 'r2', [])
  assert.deepEqual([now(), live.find(b.text), live.find(a.text)], [textsOf(a), null, a])
  live.write('x/3', 'r3', [c, c, a])
  live.write('x/1', 'r4', [])
  assert.deepEqual([now(), now('r2'), now('r3')], [textsOf(a, c), textsOf(a, c), []])
  live.write('x/3', 'r5', [b])
  assert.deepEqual([now(), live.find(c.text), live.find(a.text)], [textsOf(b), null, null])
  live.write('x/3', 'r6', [])
  live.write('x/1', 'r7', [a])
  assert.deepEqual([now('r6'), now('r7'), live.find(b.text)], [textsOf(a), [], null])
  assert.deepEqual(new LiveBlobs(NO_BLOBS, '').list(null), [])
  assert.deepEqual(new LiveBlobs(base, 'r1').list(null).length, 2, 'the base is not changed')
})
