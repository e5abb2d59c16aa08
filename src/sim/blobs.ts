/**
 * Blobs of simulated accounts: images whose bytes follow from a number. They are made whenever
 * somebody reads them and never kept, so that a network may have any number of them.
 *
 * ```
 * signature of the type   4 to 12 bytes, as in real files
 * pseudo-random words     u32 LE, the n-th from seed and n alone, so that any range can be made
 * ```
 */
import { CidLinkWrapper } from '@atcute/cid'
import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import { utf8 } from '../lib/bytes.ts'
import type { Random } from '../lib/random.ts'
import { below, logNormal, pickOf, weighted } from './distributions.ts'

/** A blob: what records say of it, and what its bytes are made from. */
export interface SimBlob {
  /** 36 bytes, codec raw. */
  readonly cid: Uint8Array
  /** The CID as text. */
  readonly text: string
  readonly mimeType: ImageType
  /** Bytes. */
  readonly size: number
  readonly seed: number
}

/** Shares of images by type, in percent. */
const TYPE_WEIGHTS = { 'image/jpeg': 72, 'image/webp': 16, 'image/png': 12 } as const

export type ImageType = keyof typeof TYPE_WEIGHTS

/**
 * Median size of a blob, bytes, unless told otherwise. In the wild it is some hundred thousand; a
 * network of thousands of records would spend its start on hashing those.
 */
export const BLOB_BYTES_MEDIAN = 4_096
/** Least and most bytes: the lexicon of profiles allows 1,000,000. */
const BLOB_BYTES_MIN = 64
export const BLOB_BYTES_MAX = 1_000_000
/** How sizes scatter, and how many medians the largest has. */
const SIZE_SIGMA = 0.8
const MEDIANS_MAX = 16
/** Share of images that an account has shown not long ago. */
const AGAIN_SHARE = 0.1
const RECENT_MAX = 8
/** Step and mixing of ../lib/random.ts (mulberry32), by number instead of one after another. */
const STEP = 0x6d2b79f5

function word(seed: number, n: number): number {
  const state = (seed + Math.imul(n + 1, STEP)) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return (mixed ^ (mixed >>> 14)) >>> 0
}

function signatureOf(mimeType: ImageType, size: number): Uint8Array {
  switch (mimeType) {
    case 'image/jpeg':
      return Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)
    case 'image/png':
      return Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
    case 'image/webp':
      break
  }
  const riff = utf8('RIFF....WEBP')
  new DataView(riff.buffer, riff.byteOffset).setUint32(4, size - 8, true)
  return riff
}

/** The bytes of a blob from `start` up to and without `end`, which is at most its size. */
export function blobBytes(
  { seed, mimeType, size }: Pick<SimBlob, 'seed' | 'mimeType' | 'size'>,
  start: number,
  end: number,
): Uint8Array {
  const first = start >>> 2
  const count = ((end + 3) >>> 2) - first
  const words = new DataView(new ArrayBuffer(count * 4))
  for (let i = 0; i < count; i++) words.setUint32(i * 4, word(seed, first + i), true)
  const bytes = new Uint8Array(words.buffer, start - first * 4, end - start)
  const signature = signatureOf(mimeType, size)
  if (start < signature.length) bytes.set(signature.subarray(start, end))
  return bytes
}

/** A new blob, drawn by chance. */
export function makeBlob(random: Random, medianBytes: number): SimBlob {
  const mimeType = weighted(random, TYPE_WEIGHTS)
  const max = Math.min(medianBytes * MEDIANS_MAX, BLOB_BYTES_MAX)
  const shape = { median: medianBytes, sigma: SIZE_SIGMA, min: BLOB_BYTES_MIN, max }
  const size = Math.round(logNormal(random, shape))
  const seed = below(random, 2 ** 32)
  const cid = cidOf(CODEC_RAW, blobBytes({ seed, mimeType, size }, 0, size))
  return { cid, text: cidToString(cid), mimeType, size, seed }
}

/** What a record says of a blob. (Data model specification, "blob type".) */
export function blobReference({ cid, mimeType, size }: SimBlob): Readonly<Record<string, unknown>> {
  return { $type: 'blob', ref: new CidLinkWrapper(cid), mimeType, size }
}

/** Where an account takes images from: new ones, and now and then one that it has used already. */
export class Album {
  readonly #medianBytes: number
  readonly #recent: SimBlob[] = []

  constructor(medianBytes: number) {
    this.#medianBytes = medianBytes
  }

  next(random: Random): SimBlob {
    if (this.#recent.length > 0 && random.next() < AGAIN_SHARE) return pickOf(random, this.#recent)
    const blob = makeBlob(random, this.#medianBytes)
    this.#recent.push(blob)
    if (this.#recent.length > RECENT_MAX) this.#recent.shift()
    return blob
  }
}
