/**
 * What opening a log finds and mends. The newest segment is read whole, the others at their ends
 * (their content was durable before the next one began). An unfinished batch at the end of the
 * newest is cut at its last whole entry; anything else that is not as it should be is LOG_DAMAGED,
 * because the seqs concerned may have been published and must not be issued again.
 *
 * Torn or damaged: an entry at place `s` is bad, and some entry behind it is whole and belongs to a
 * batch that began after `s`. That batch was written only after `s` had been durable, so `s` has
 * been damaged since. Without such an entry, `s` may belong to the last batch, whose pages a crash
 * may have kept in any combination.
 */
import { must } from '../lib/assert.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError } from '../lib/errors.ts'
import { crc32c } from './crc32c.ts'
import { ENTRY_BYTES, EntryTable, HEADER_BYTES } from './entry-codec.ts'
import { decodeHeader, entryPosition } from './entry-codec.ts'
import { SCAN_BYTES, SLICE_ENTRIES } from './log-limits.ts'
import { closeQuietly, createSegment, damaged, finishDrop, lastSeqOf } from './segment.ts'
import { openSegment, segmentPath } from './segment.ts'
import type { Segment, SegmentFiles } from './segment.ts'
import type { LogFile, LogStorage } from './storage.ts'

/** What a log is opened from. */
export interface RecoveredLog {
  /** Oldest first, at least one. */
  readonly segments: readonly Segment[]
  /** The newest segment's files, open for writing, at rest and durable. */
  readonly files: SegmentFiles
}

export interface RecoveryParts {
  readonly storage: LogStorage
  readonly folder: string
  /** Seq of the first event when there is no log yet. */
  readonly firstSeq: number
  readonly nowMs: number
}

/** Opens the log in `folder`, or begins one. Errors: LOG_DAMAGED, STORE_TOO_NEW, the storage's. */
export async function recoverLog(parts: RecoveryParts): Promise<RecoveredLog> {
  const { storage, folder } = parts
  const numbers = await tidyFolder(storage, folder)
  crashPoint('log-recovery.tidied')
  if (numbers.length === 0) {
    const place = { number: 1, firstSeq: parts.firstSeq, createdMs: parts.nowMs }
    const { segment, files } = await createSegment(storage, folder, place)
    return { segments: [segment], files }
  }
  const segments: Segment[] = []
  const newest = must(numbers.at(-1), 'newest segment')
  for (const number of numbers.slice(0, -1)) {
    const files = await openSegment(storage, folder, number, 'read')
    try {
      const segment = await recoverSealed(folder, number, files)
      checkContinues(folder, segments.at(-1), segment)
      segments.push(segment)
    } finally {
      await closeQuietly(files.frames, files.index)
    }
  }
  const files = await openSegment(storage, folder, newest, 'write')
  try {
    const segment = await recoverNewest(folder, newest, files)
    checkContinues(folder, segments.at(-1), segment)
    await storage.syncDirectory(folder)
    return { segments: [...segments, segment], files }
  } catch (error) {
    await closeQuietly(files.frames, files.index)
    throw error
  }
}

/** Ends interrupted creations and removals; returns the numbers of the segments, rising. */
async function tidyFolder(storage: LogStorage, folder: string): Promise<number[]> {
  const found = { frames: new Set<number>(), index: new Set<number>() }
  for (const name of (await storage.list(folder)).sort()) {
    const match = /^(\d{8})\.(frames|index)(\.new|\.dropped)?$/.exec(name)
    if (match === null) continue
    const number = Number(match[1])
    if (match[3] === '.new') await storage.remove(segmentPath(folder, number, 'index.new'))
    else if (match[3] === '.dropped') await finishDrop(storage, folder, number)
    else found[match[2] === 'frames' ? 'frames' : 'index'].add(number)
  }
  // A finished drop has removed frames that were listed before.
  const names = new Set(await storage.list(folder))
  const numbers = [...found.index].sort((a, b) => a - b)
  for (const [at, number] of numbers.entries()) {
    const expected = (numbers[0] ?? 0) + at
    const missing = segmentPath(folder, expected, 'index')
    if (number !== expected) throw damaged('a segment is missing', missing, 0)
    if (found.frames.has(number)) continue
    throw damaged('the frames of a segment are missing', segmentPath(folder, number, 'frames'), 0)
  }
  const next = (numbers.at(-1) ?? 0) + 1
  for (const number of found.frames) {
    const path = segmentPath(folder, number, 'frames')
    if (found.index.has(number) || !names.has(path.slice(folder.length + 1))) continue
    const unborn = number === next && (await sizeOf(storage, path)) === 0
    if (!unborn) throw damaged('the index of a segment is missing', path, 0)
    await storage.remove(path)
  }
  return numbers
}

async function sizeOf(storage: LogStorage, path: string): Promise<number> {
  const file = await storage.open(path, 'read')
  try {
    return await file.size()
  } finally {
    await file.close()
  }
}

function checkContinues(folder: string, before: Segment | undefined, segment: Segment): void {
  if (before === undefined || segment.firstSeq === lastSeqOf(before) + 1) return
  const expected = lastSeqOf(before) + 1
  const what = `a segment begins with seq ${segment.firstSeq} where ${expected} follows`
  throw damaged(what, segmentPath(folder, segment.number, 'index'), 0)
}

/** Reads the header; there is always a whole one, since segments appear by a rename. */
async function readHeader(folder: string, number: number, index: LogFile): Promise<Segment> {
  const path = segmentPath(folder, number, 'index')
  const bytes = new Uint8Array(HEADER_BYTES)
  const read = await index.read(bytes, 0)
  const header = read < HEADER_BYTES ? 'damaged' : decodeHeader(bytes)
  if (header === 'newer') {
    throw new SkeinError('STORE_TOO_NEW', 'open log: a newer version wrote it', { file: path })
  }
  if (header === 'damaged') throw damaged('the header of an index is not whole', path, 0)
  if (header.segment !== number) throw damaged('an index has been renamed', path, 0)
  return {
    number,
    firstSeq: header.firstSeq,
    count: 0,
    framesBytes: 0,
    firstTimeMs: null,
    lastTimeMs: null,
    dropped: false,
  }
}

/** Checks a sealed segment by its sizes and its first and last entry. */
async function recoverSealed(
  folder: string,
  number: number,
  files: SegmentFiles,
): Promise<Segment> {
  const segment = await readHeader(folder, number, files.index)
  const path = segmentPath(folder, number, 'index')
  const entriesBytes = (await files.index.size()) - HEADER_BYTES
  const count = entriesBytes / ENTRY_BYTES
  if (count < 1 || !Number.isInteger(count)) {
    throw damaged('an index has been cut', path, HEADER_BYTES + entriesBytes)
  }
  const first = new EntryTable(await readExactly(files.index, entryPosition(0), ENTRY_BYTES))
  const last = new EntryTable(await readExactly(files.index, entryPosition(count - 1), ENTRY_BYTES))
  for (const [at, entry] of [[0, first] as const, [count - 1, last] as const]) {
    if (entry.isWhole(0) && entry.seq(0) === segment.firstSeq + at) continue
    throw damaged('an index entry is not whole', path, entryPosition(at))
  }
  segment.count = count
  segment.framesBytes = last.offset(0) + last.length(0)
  segment.firstTimeMs = first.timeMs(0)
  segment.lastTimeMs = last.timeMs(0)
  const size = await files.frames.size()
  if (size !== segment.framesBytes) {
    const frames = segmentPath(folder, number, 'frames')
    throw damaged(`the file should have ${segment.framesBytes} bytes`, frames, size)
  }
  return segment
}

/** Reads the newest segment whole, cuts a torn batch off and makes what remains durable. */
async function recoverNewest(
  folder: string,
  number: number,
  files: SegmentFiles,
): Promise<Segment> {
  const segment = await readHeader(folder, number, files.index)
  const indexSize = await files.index.size()
  const framesSize = await files.frames.size()
  const places = Math.floor((indexSize - HEADER_BYTES) / ENTRY_BYTES)
  const frames = new FrameWindow(files.frames, framesSize)
  let fault: string | null = null
  while (segment.count < places && fault === null) {
    const table = await readTable(files.index, segment.count, places)
    for (let at = 0; at < table.capacity && fault === null; at++) {
      fault = await entryFault(table, at, segment, frames)
      if (fault === null) accept(segment, table, at)
    }
  }
  if (fault !== null && (await laterBatchExists(files.index, segment, places))) {
    const [file, offset] = fault.startsWith('frame')
      ? (['frames', segment.framesBytes] as const)
      : (['index', entryPosition(segment.count)] as const)
    throw damaged(`a ${fault} stands before good ones`, segmentPath(folder, number, file), offset)
  }
  const indexEnd = entryPosition(segment.count)
  if (indexSize !== indexEnd) await files.index.truncate(indexEnd)
  crashPoint('log-recovery.index-cut')
  if (framesSize !== segment.framesBytes) await files.frames.truncate(segment.framesBytes)
  crashPoint('log-recovery.cut')
  // Also when nothing was cut: a killed process may have left a batch that only memory holds.
  await files.frames.sync()
  await files.index.sync()
  crashPoint('log-recovery.synced')
  return segment
}

/** What is wrong with entry `at` as the next entry of `segment`; null when it is whole. */
async function entryFault(
  table: EntryTable,
  at: number,
  segment: Segment,
  frames: FrameWindow,
): Promise<string | null> {
  if (!table.isWhole(at)) return 'broken entry'
  if (table.seq(at) !== segment.firstSeq + segment.count) return 'misplaced entry'
  if (table.offset(at) !== segment.framesBytes) return 'misplaced entry'
  if (table.batchPosition(at) > segment.count) return 'misplaced entry'
  const end = table.offset(at) + table.length(at)
  if (end > frames.size) return 'frame that is cut short'
  // The frame of a purged entry may be whole, blank, or in between.
  if (table.purged(at)) return null
  const loaded = frames.get(table.offset(at), table.length(at))
  const frame = loaded ?? (await frames.load(table.offset(at), table.length(at)))
  return crc32c(frame) === table.crc(at) ? null : 'frame that does not match its checksum'
}

function accept(segment: Segment, table: EntryTable, at: number): void {
  segment.count++
  segment.framesBytes = table.offset(at) + table.length(at)
  segment.firstTimeMs ??= table.timeMs(at)
  segment.lastTimeMs = table.timeMs(at)
}

/** Whether an entry behind the bad one at `segment.count` began its batch after it. */
async function laterBatchExists(
  index: LogFile,
  segment: Segment,
  places: number,
): Promise<boolean> {
  for (let place = segment.count + 1; place < places; place += SLICE_ENTRIES) {
    const table = await readTable(index, place, places)
    for (let at = 0; at < table.capacity; at++) {
      if (!table.isWhole(at) || table.seq(at) !== segment.firstSeq + place + at) continue
      if (place + at - table.batchPosition(at) > segment.count) return true
    }
  }
  return false
}

async function readTable(index: LogFile, place: number, places: number): Promise<EntryTable> {
  const count = Math.min(SLICE_ENTRIES, places - place)
  return new EntryTable(await readExactly(index, entryPosition(place), count * ENTRY_BYTES))
}

/** The bytes asked for; the file was found to be long enough, so fewer are an error of the disk. */
async function readExactly(file: LogFile, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  const read = await file.read(bytes, position)
  if (read === length) return bytes
  throw new SkeinError('LOG_READ_FAILED', 'open log: a file became shorter while it was read', {
    position: position + read,
  })
}

/** Reads a file forward in stretches of SCAN_BYTES. */
class FrameWindow {
  readonly size: number
  readonly #file: LogFile
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(file: LogFile, size: number) {
    this.#file = file
    this.size = size
  }

  /** The bytes at `offset` if they are loaded, else null. */
  get(offset: number, length: number): Uint8Array | null {
    const begin = offset - this.#start
    if (begin < 0 || begin + length > this.#bytes.length) return null
    return this.#bytes.subarray(begin, begin + length)
  }

  /** Loads from `offset`, at least `length` bytes, which lie within the file. */
  async load(offset: number, length: number): Promise<Uint8Array> {
    const stretch = Math.min(this.size - offset, Math.max(length, SCAN_BYTES))
    this.#bytes = await readExactly(this.#file, offset, stretch)
    this.#start = offset
    return this.#bytes.subarray(0, length)
  }
}
