/** Reads a CAR without asking anything of it, for tests: one without roots too. */
import { decode } from '@atcute/cbor'
import type { CidLinkWrapper } from '@atcute/cid'

import type { CarBlock } from '../../src/data/car-stream.ts'

/** Roots and blocks in the order in which they stand. Throws when the CAR is not whole. */
export function readCarBlocks(car: Uint8Array): {
  readonly roots: readonly Uint8Array[]
  readonly blocks: readonly CarBlock[]
} {
  let at = 0
  const take = (length: number): Uint8Array => {
    if (at + length > car.length) throw new Error(`CAR is cut at ${car.length}`)
    at += length
    return car.subarray(at - length, at)
  }
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = take(1)[0] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  const header = decode(take(varint())) as { readonly roots: readonly CidLinkWrapper[] }
  const blocks: CarBlock[] = []
  while (at < car.length) {
    const length = varint()
    blocks.push({ cid: take(36), block: take(length - 36) })
  }
  return { roots: header.roots.map(({ bytes }) => bytes), blocks }
}
