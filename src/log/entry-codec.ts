/**
 * The binary form of an index file: a header, then one entry a frame. Everything is little-endian;
 * 64-bit fields other than the DID hash hold safe integers.
 *
 * ```
 * header, 64 bytes                      entry, 64 bytes
 *  0  8  magic "SKEINLOG"                0  8  seq
 *  8  4  version, 1                      8  8  offset of the frame in the .frames file
 * 12  4  segment number                 16  4  length of the frame
 * 16  8  first seq                      20  4  CRC-32C of the frame as appended
 * 24  8  time of creation, ms           24  1  kind: 1 commit, 2 sync, 3 identity, 4 account
 * 32 28  zero                           25  1  flags: 1 purged; others zero
 * 60  4  CRC-32C of bytes 0-59          26  2  position in its batch, from 0
 *                                       28  4  host id
 *                                       32  8  time, ms
 *                                       40  8  hash of the DID
 *                                       48  8  seq at the host
 *                                       56  4  epoch of the host
 *                                       60  4  CRC-32C of bytes 0-59
 * ```
 *
 * Entries stand in the order of seq without gaps, so entry `i` of a segment is seq `first + i`: a
 * cursor is found by arithmetic. An entry lies within one disk sector, so that rewriting it to set
 * its purged flag is atomic. All-zero bytes, which a power cut may leave, are not a valid entry.
 *
 * The position in the batch tells torn from damaged: a batch is written only after the one before
 * is durable, so an entry of a later batch proves everything before its batch to have been durable.
 */
import { assert, must } from '../lib/assert.ts'
import { crc32c } from './crc32c.ts'
import type { EventKind, IndexEntry, LogAppend } from './log-types.ts'

export const HEADER_BYTES = 64
export const ENTRY_BYTES = 64
const CHECKED_BYTES = 60
const VERSION = 1
const MAGIC = [0x53, 0x4b, 0x45, 0x49, 0x4e, 0x4c, 0x4f, 0x47]
const TWO_32 = 2 ** 32

const KINDS: readonly (EventKind | null)[] = [null, 'commit', 'sync', 'identity', 'account']
export const KIND_CODES: Readonly<Record<EventKind, number>> = {
  commit: 1,
  sync: 2,
  identity: 3,
  account: 4,
}
export const FLAG_PURGED = 1

/** What an index file says of itself. */
export interface IndexHeader {
  readonly segment: number
  readonly firstSeq: number
  readonly createdMs: number
}

export function encodeHeader(header: IndexHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set(MAGIC)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, header.segment, true)
  setUint53(view, 16, header.firstSeq)
  setUint53(view, 24, header.createdMs)
  view.setUint32(CHECKED_BYTES, crc32c(bytes, 0, CHECKED_BYTES), true)
  return bytes
}

/** The header, `damaged` when it is not one, `newer` when a later version wrote it. */
export function decodeHeader(bytes: Uint8Array): IndexHeader | 'damaged' | 'newer' {
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, at) => bytes[at] !== byte)) return 'damaged'
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  if (view.getUint32(CHECKED_BYTES, true) !== crc32c(bytes, 0, CHECKED_BYTES)) return 'damaged'
  if (view.getUint32(8, true) > VERSION) return 'newer'
  if (view.getUint32(8, true) < VERSION) return 'damaged'
  const firstSeq = getUint53(view, 16)
  if (!Number.isSafeInteger(firstSeq) || firstSeq < 1) return 'damaged'
  return { segment: view.getUint32(12, true), firstSeq, createdMs: getUint53(view, 24) }
}

/**
 * Consecutive entries in their binary form, addressed by their place in this table. The hot paths
 * read fields from it without making objects.
 */
export class EntryTable {
  readonly bytes: Uint8Array
  readonly #view: DataView

  /** Wraps `bytes` without copying; their length is a multiple of ENTRY_BYTES. */
  constructor(bytes: Uint8Array) {
    assert(bytes.length % ENTRY_BYTES === 0, 'an entry table holds whole entries')
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get capacity(): number {
    return this.bytes.length / ENTRY_BYTES
  }

  seq(at: number): number {
    return getUint53(this.#view, at * ENTRY_BYTES)
  }

  offset(at: number): number {
    return getUint53(this.#view, at * ENTRY_BYTES + 8)
  }

  length(at: number): number {
    return this.#view.getUint32(at * ENTRY_BYTES + 16, true)
  }

  crc(at: number): number {
    return this.#view.getUint32(at * ENTRY_BYTES + 20, true)
  }

  kindCode(at: number): number {
    return this.#view.getUint8(at * ENTRY_BYTES + 24)
  }

  purged(at: number): boolean {
    return (this.#view.getUint8(at * ENTRY_BYTES + 25) & FLAG_PURGED) !== 0
  }

  batchPosition(at: number): number {
    return this.#view.getUint16(at * ENTRY_BYTES + 26, true)
  }

  timeMs(at: number): number {
    return getUint53(this.#view, at * ENTRY_BYTES + 32)
  }

  didHash(at: number): bigint {
    return this.#view.getBigUint64(at * ENTRY_BYTES + 40, true)
  }

  /** Whether the entry's checksum holds and its fields are ones that this version writes. */
  isWhole(at: number): boolean {
    const base = at * ENTRY_BYTES
    const checksum = this.#view.getUint32(base + CHECKED_BYTES, true)
    if (checksum !== crc32c(this.bytes, base, base + CHECKED_BYTES)) return false
    const kind = this.kindCode(at)
    const flags = this.#view.getUint8(base + 25)
    return kind >= 1 && kind < KINDS.length && flags <= FLAG_PURGED && this.length(at) > 0
  }

  /** Writes entry `at`. The caller has checked that every number fits its field. */
  set(at: number, event: LogAppend, place: EntryPlace): void {
    const view = this.#view
    const base = at * ENTRY_BYTES
    setUint53(view, base, event.seq)
    setUint53(view, base + 8, place.offset)
    view.setUint32(base + 16, event.frame.length, true)
    view.setUint32(base + 20, place.crc, true)
    view.setUint8(base + 24, KIND_CODES[event.kind])
    view.setUint8(base + 25, 0)
    view.setUint16(base + 26, place.batchPosition, true)
    view.setUint32(base + 28, event.hostId, true)
    setUint53(view, base + 32, event.timeMs)
    view.setBigUint64(base + 40, place.didHash, true)
    setUint53(view, base + 48, event.hostSeq)
    view.setUint32(base + 56, event.hostEpoch, true)
    this.#seal(base)
  }

  /** Sets the purged flag of entry `at` and renews its checksum. */
  markPurged(at: number): void {
    this.#view.setUint8(at * ENTRY_BYTES + 25, FLAG_PURGED)
    this.#seal(at * ENTRY_BYTES)
  }

  /** Entry `at` as an object. The entry must be whole. */
  get(at: number): IndexEntry {
    const base = at * ENTRY_BYTES
    return {
      seq: this.seq(at),
      kind: must(KINDS[this.kindCode(at)], 'kind of a whole entry'),
      purged: this.purged(at),
      offset: this.offset(at),
      length: this.length(at),
      crc: this.crc(at),
      timeMs: this.timeMs(at),
      didHash: this.didHash(at),
      hostId: this.#view.getUint32(base + 28, true),
      hostEpoch: this.#view.getUint32(base + 56, true),
      hostSeq: getUint53(this.#view, base + 48),
    }
  }

  #seal(base: number): void {
    const checksum = crc32c(this.bytes, base, base + CHECKED_BYTES)
    this.#view.setUint32(base + CHECKED_BYTES, checksum, true)
  }
}

/** The part of an entry that the log itself decides. */
export interface EntryPlace {
  readonly offset: number
  readonly crc: number
  readonly batchPosition: number
  readonly didHash: bigint
}

/** Where entry `at` of a segment begins in its index file. */
export function entryPosition(at: number): number {
  return HEADER_BYTES + at * ENTRY_BYTES
}

/** Writes a safe integer of 0 or more as 64 bits. */
export function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true)
  view.setUint32(at + 4, Math.floor(value / TWO_32), true)
}

/** Reads 64 bits; the result is not a safe integer when the writer's was not. */
export function getUint53(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true)
}
