/**
 * CAR version 1 as a stream, in bounded memory: reading holds one block at a time, writing none.
 * The layout is drawn in ./car.ts.
 */
import { CidLinkWrapper } from '@atcute/cid'
import { concatBytes } from '../lib/bytes.ts'
import { SkeinError } from '../lib/errors.ts'
import { CAR_HEADER_BYTES_MAX, COMMIT_BLOCKS_BYTES_MAX } from '../lib/limits.ts'
import { parseCarHeader, type CarReason } from './car.ts'
import { CID_BYTES, hashMatches, isCidBytes } from './cid.ts'
import { encodeDrisl } from './drisl-encode.ts'
import { encodeVarint, readVarint, varintValue } from './varint.ts'

export interface CarStreamLimits {
  /** Most blocks of the whole stream. */
  readonly blocksMax: number
  /** Most bytes of the whole stream. */
  readonly bytesMax: number
  /** Largest single block, bytes; default that of a commit's `blocks`. */
  readonly blockBytesMax?: number
}

/** A block with its CID. Both are the reader's own and may be kept. */
export interface CarBlock {
  readonly cid: Uint8Array
  readonly block: Uint8Array
}

/** Why a stream was refused. `reason` is one of the `car-` reasons. */
export class CarStreamError extends SkeinError {
  readonly reason: CarReason
  /**
   * `cut` when the stream ended within a part, so that more of it might have made it good;
   * `too-large` when it went over a limit of the reader.
   */
  readonly fault: 'invalid' | 'cut' | 'too-large'

  constructor(reason: CarReason, detail: string, fault: CarStreamError['fault'] = 'invalid') {
    super('CAR_INVALID', `read CAR: ${detail}`, { reason })
    this.reason = reason
    this.fault = fault
  }
}

function cut(detail: string): CarStreamError {
  return new CarStreamError('car-malformed', detail, 'cut')
}

/** Collects chunks and gives out exact lengths. Holds no more than one chunk over what is asked. */
class Pull {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #bytesMax: number
  #buffer: Uint8Array = new Uint8Array(0)
  #received = 0

  constructor(source: AsyncIterable<Uint8Array>, bytesMax: number) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#bytesMax = bytesMax
  }

  /** Makes at least `length` bytes visible if the source has them; returns what is visible. */
  async peek(length: number): Promise<Uint8Array> {
    if (this.#buffer.length >= length) return this.#buffer
    const parts = [this.#buffer]
    let total = this.#buffer.length
    while (total < length) {
      const next = await this.#iterator.next()
      if (next.done === true) break
      this.#received += next.value.length
      if (this.#received > this.#bytesMax) {
        const detail = `stream is over ${this.#bytesMax} bytes`
        throw new CarStreamError('car-malformed', detail, 'too-large')
      }
      parts.push(next.value)
      total += next.value.length
    }
    this.#buffer = concatBytes(parts)
    return this.#buffer
  }

  skip(length: number): void {
    this.#buffer = this.#buffer.subarray(length)
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}

/** Longest varint that {@link readVarint} reads. */
const VARINT_PEEK = 4

/** Reads a length; null at the clean end of the stream. */
async function pullLength(pull: Pull): Promise<number | null> {
  const visible = await pull.peek(VARINT_PEEK)
  if (visible.length === 0) return null
  const end = readVarint(visible, 0)
  if (end === 0) throw cut('the stream ends in a length')
  if (end < 0) throw new CarStreamError('car-malformed', 'a length is too long or not minimal')
  const length = varintValue()
  pull.skip(end)
  return length
}

async function pullExactly(pull: Pull, length: number): Promise<Uint8Array> {
  const visible = await pull.peek(length)
  if (visible.length < length) throw cut('the stream is cut')
  const taken = visible.slice(0, length)
  pull.skip(length)
  return taken
}

/** A CAR being read: its roots are known, its blocks come as they are asked for. */
export interface CarStream {
  readonly roots: readonly Uint8Array[]
  /** In the stream's order. Each block is hashed once. Throws {@link CarStreamError}. */
  readonly blocks: AsyncIterable<CarBlock>
}

/**
 * Opens a CAR stream. Back-pressure is the caller's: nothing is pulled that was not asked for, and
 * leaving the loop over `blocks` ends the source.
 *
 * @throws CarStreamError when the header is not acceptable.
 */
export async function readCarStream(
  source: AsyncIterable<Uint8Array>,
  limits: CarStreamLimits,
): Promise<CarStream> {
  const pull = new Pull(source, limits.bytesMax)
  try {
    const length = await pullLength(pull)
    if (length === null) throw cut('the stream is empty')
    if (length > CAR_HEADER_BYTES_MAX) {
      throw new CarStreamError('car-malformed', 'no header of an acceptable length')
    }
    const roots = parseCarHeader(await pullExactly(pull, length))
    if (!roots.ok) throw new CarStreamError(roots.reason, roots.detail)
    return { roots: roots.value, blocks: streamBlocks(pull, limits) }
  } catch (error) {
    await pull.close()
    throw error
  }
}

async function* streamBlocks(pull: Pull, limits: CarStreamLimits): AsyncGenerator<CarBlock> {
  const blockBytesMax = limits.blockBytesMax ?? COMMIT_BLOCKS_BYTES_MAX
  try {
    for (let count = 0; ; count++) {
      const length = await pullLength(pull)
      if (length === null) return
      if (count === limits.blocksMax) {
        const detail = `over ${limits.blocksMax} blocks`
        throw new CarStreamError('car-too-many-blocks', detail, 'too-large')
      }
      if (length > CID_BYTES + blockBytesMax) {
        throw new CarStreamError('car-block-too-large', `block of ${length - CID_BYTES} bytes`)
      }
      const entry = await pullExactly(pull, length)
      if (!isCidBytes(entry, 0)) throw new CarStreamError('car-cid-kind', 'CID of another kind')
      const block = entry.subarray(CID_BYTES)
      if (!hashMatches(entry, 0, block)) {
        throw new CarStreamError('car-hash-mismatch', 'a block does not hash to its CID')
      }
      yield { cid: entry.subarray(0, CID_BYTES), block }
    }
  } finally {
    await pull.close()
  }
}

/** The bytes of a CAR header, its length in front. No root gives an empty list of roots. */
export function encodeCarHeader(roots: readonly Uint8Array[]): Uint8Array {
  const links = roots.map((root) => new CidLinkWrapper(root))
  const header = encodeDrisl({ roots: links, version: 1 })
  return concatBytes([encodeVarint(header.length), header])
}

/** The bytes of one block in a CAR, length and CID in front. */
export function encodeCarBlock(cid: Uint8Array, block: Uint8Array): Uint8Array {
  return concatBytes([encodeVarint(CID_BYTES + block.length), cid, block])
}

/** A whole CAR in memory, blocks in the order given. */
export function encodeCar(roots: readonly Uint8Array[], blocks: Iterable<CarBlock>): Uint8Array {
  const parts = [encodeCarHeader(roots)]
  for (const { cid, block } of blocks) {
    parts.push(encodeVarint(CID_BYTES + block.length), cid, block)
  }
  return concatBytes(parts)
}

/** A CAR piece by piece, in the order given; nothing is read ahead. */
export async function* writeCarStream(
  roots: readonly Uint8Array[],
  blocks: Iterable<CarBlock> | AsyncIterable<CarBlock>,
): AsyncGenerator<Uint8Array> {
  yield encodeCarHeader(roots)
  for await (const { cid, block } of blocks) yield encodeCarBlock(cid, block)
}
