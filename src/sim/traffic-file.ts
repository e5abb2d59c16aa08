/**
 * Reads traffic that was signed before, a block at a time: of the file nothing is kept but the
 * header, where blocks lie, and those that were read last. The layout: ./traffic-format.ts.
 *
 * Reads are synchronous: a block is 256 KiB, mostly from the system's cache, and the way through
 * the thread pool and back costs as much again.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import { must } from '../lib/assert.ts'
import { plainBytes } from '../lib/bytes.ts'
import { payloadRange } from '../stream/wire-frame.ts'
import {
  BLOCK_HEAD_BYTES,
  decodeBlockHead,
  fileFailed,
  parseHeader,
  TRAFFIC_HEADER_BYTES_MAX,
  TRAFFIC_MAGIC,
  type TrafficHeader,
  unusable,
} from './traffic-format.ts'

/** Blocks of a file: at the writer's size more than 256 GiB. Each costs some 30 bytes of memory. */
const BLOCKS_MAX = 4_194_304
/** Blocks that are kept for the next reader, bytes: a file of 25,000 events is read only once. */
const CACHED_BYTES_MAX = 128 * 1024 * 1024

/** Where bytes come from. */
export interface TrafficSource {
  /** Bytes that there are. */
  readonly size: number
  /** Exactly `length` bytes, all of which are there. The reader's own. */
  read(at: number, length: number): Uint8Array
  close(): void
}

/** Frames of one host that lie in the file together. */
export interface TrafficBlock {
  readonly firstSeq: number
  /** Wire frames end to end. Shared: never to be changed. */
  readonly bytes: Uint8Array
  /** Where each frame ends. */
  readonly ends: Uint32Array
}

/** Where the blocks of one host lie. */
class BlockIndex {
  readonly offsets: number[] = []
  readonly lengths: number[] = []
  readonly firstSeqs: number[] = []
  frames = 0

  /** Number of the block with a seq that there is. */
  find(seq: number): number {
    let low = 0
    let high = this.firstSeqs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (must(this.firstSeqs[middle], 'block') <= seq) low = middle
      else high = middle - 1
    }
    return low
  }
}

/** A traffic file that is open. Owns its source. */
export class TrafficFile implements Disposable {
  readonly header: TrafficHeader
  readonly #source: TrafficSource
  readonly #path: string
  readonly #index: readonly BlockIndex[]
  readonly #cache = new LRUCache<number, TrafficBlock>({
    maxSize: CACHED_BYTES_MAX,
    sizeCalculation: ({ bytes }) => bytes.length,
  })

  private constructor(
    source: TrafficSource,
    path: string,
    header: TrafficHeader,
    index: readonly BlockIndex[],
  ) {
    this.#source = source
    this.#path = path
    this.header = header
    this.#index = index
  }

  /**
   * Opens a file and looks where its blocks are; what is in them is read when it is asked for.
   *
   * @throws SkeinError DATA_DIRECTORY_UNUSABLE when it cannot be read, OPTION_INVALID when it is
   *   not a traffic file or is cut off.
   */
  static open(path: string): TrafficFile {
    return TrafficFile.over(FileSource.open(path), path)
  }

  /** The same over any bytes; closes the source when they are no traffic file. */
  static over(source: TrafficSource, path: string): TrafficFile {
    try {
      const start = TRAFFIC_MAGIC.length + 4
      if (source.size < start) throw unusable(path, 'it does not begin as a traffic file does')
      const begin = source.read(0, start)
      if (!TRAFFIC_MAGIC.every((byte, i) => begin[i] === byte)) {
        throw unusable(path, 'it does not begin as a traffic file does')
      }
      const length = new DataView(begin.buffer, begin.byteOffset).getUint32(8, true)
      const isThere = length <= TRAFFIC_HEADER_BYTES_MAX && start + length <= source.size
      const header = isThere ? parseHeader(source.read(start, length)) : null
      if (header === null) throw unusable(path, 'its header cannot be read')
      const index = indexBlocks(source, start + length, header.hosts, path)
      return new TrafficFile(source, path, header, index)
    } catch (error) {
      source.close()
      throw error
    }
  }

  /** Frames of a host, which have the seqs 1 to this. */
  frameCount(host: number): number {
    return must(this.#index[host], 'host').frames
  }

  /** Bytes of all frames with their WebSocket headers. */
  get wireBytes(): number {
    let bytes = 0
    for (const { lengths } of this.#index) for (const length of lengths) bytes += length
    return bytes
  }

  /**
   * The block with a frame that there is.
   *
   * @throws SkeinError OPTION_INVALID when the block is damaged, DATA_DIRECTORY_UNUSABLE when it
   *   cannot be read.
   */
  block(host: number, seq: number): TrafficBlock {
    const index = must(this.#index[host], 'host')
    const number = index.find(seq)
    const offset = must(index.offsets[number], 'block')
    const cached = this.#cache.get(offset)
    if (cached !== undefined) return cached
    const firstSeq = must(index.firstSeqs[number], 'block')
    const frames = (index.firstSeqs[number + 1] ?? index.frames + 1) - firstSeq
    const bytes = this.#source.read(offset, must(index.lengths[number], 'block'))
    const ends = endsOf(bytes, frames)
    if (ends === null) throw unusable(this.#path, 'a block is damaged')
    const block = { firstSeq, bytes, ends }
    this.#cache.set(offset, block)
    return block
  }

  /** The frames of a host in order, without WebSocket headers: views. */
  *frames(host: number): Generator<Uint8Array> {
    for (let seq = 1; seq <= this.frameCount(host);) {
      const { bytes, ends } = this.block(host, seq)
      let start = 0
      for (const end of ends) {
        const range = must(payloadRange(bytes, start), 'frame of a checked block')
        yield bytes.subarray(range.start, range.end)
        start = end
      }
      seq += ends.length
    }
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }
}

/** Where each of so many wire frames ends; null when the bytes are not just that. */
function endsOf(bytes: Uint8Array, frames: number): Uint32Array | null {
  const ends = new Uint32Array(frames)
  let at = 0
  for (let i = 0; i < frames; i++) {
    const range = payloadRange(bytes, at)
    if (range === null) return null
    at = range.end
    ends[i] = at
  }
  return at === bytes.length ? ends : null
}

function indexBlocks(
  source: TrafficSource,
  start: number,
  hosts: number,
  path: string,
): BlockIndex[] {
  const index = Array.from({ length: hosts }, () => new BlockIndex())
  let total = 0
  let at = start
  for (let blocks = 0; blocks <= BLOCKS_MAX; blocks++) {
    if (at + BLOCK_HEAD_BYTES > source.size) throw unusable(path, 'it is cut off')
    const head = decodeBlockHead(source.read(at, BLOCK_HEAD_BYTES))
    at += BLOCK_HEAD_BYTES
    if ('endFrames' in head) {
      if (head.endFrames === total && at === source.size) return index
      throw unusable(path, 'its end does not fit what is before')
    }
    const ofHost = index[head.host]
    if (ofHost === undefined) throw unusable(path, 'a frame is of a host that is not there')
    if (head.frames === 0) throw unusable(path, 'a block is empty')
    if (at + head.bytes > source.size) throw unusable(path, 'it is cut off')
    ofHost.offsets.push(at)
    ofHost.lengths.push(head.bytes)
    ofHost.firstSeqs.push(ofHost.frames + 1)
    ofHost.frames += head.frames
    total += head.frames
    at += head.bytes
  }
  throw unusable(path, `it has over ${BLOCKS_MAX} blocks`)
}

class FileSource implements TrafficSource {
  readonly size: number
  readonly #file: number
  readonly #path: string

  private constructor(file: number, path: string, size: number) {
    this.#file = file
    this.#path = path
    this.size = size
  }

  static open(path: string): FileSource {
    try {
      const file = openSync(path, 'r')
      return new FileSource(file, path, fstatSync(file).size)
    } catch (error) {
      throw fileFailed('open', path, error)
    }
  }

  read(at: number, length: number): Uint8Array {
    // Not cleared first: every byte is read over.
    const bytes = plainBytes(Buffer.allocUnsafeSlow(length))
    for (let filled = 0; filled < length;) {
      const count = this.#readSome(bytes, filled, at + filled)
      if (count === 0) throw unusable(this.#path, 'it has become shorter')
      filled += count
    }
    return bytes
  }

  #readSome(bytes: Uint8Array, filled: number, at: number): number {
    try {
      return readSync(this.#file, bytes, filled, bytes.length - filled, at)
    } catch (error) {
      throw fileFailed('read', this.#path, error)
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}
